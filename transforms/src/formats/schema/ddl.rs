//! `CREATE TABLE`, as Hive, Athena and `SHOW CREATE TABLE` write it.
//!
//! ```text
//! CREATE [EXTERNAL] TABLE [IF NOT EXISTS] [db.]name ( column type [COMMENT 'text'], … ) clause … [;]
//! ```
//!
//! Language manual: <https://cwiki.apache.org/confluence/display/Hive/LanguageManual+DDL>

use super::hive_type::HiveType;
use super::lexer::{Lexer, Token};
use super::{SchemaError, TableSchema};

pub(super) fn parse(statement: &str) -> Result<TableSchema, SchemaError> {
    let mut lexer = Lexer::new(statement)?;
    lexer.expect_word("CREATE")?;
    for kind in ["EXTERNAL", "TRANSACTIONAL", "MANAGED", "TEMPORARY"] {
        lexer.take_word(kind);
    }
    lexer.expect_word("TABLE")?;
    if lexer.take_word("IF") {
        lexer.expect_word("NOT")?;
        lexer.expect_word("EXISTS")?;
    }
    table_name(&mut lexer)?;
    let columns = columns(&mut lexer)?;
    while clause(&mut lexer)? {}
    lexer.end()?;
    TableSchema::new(columns)
}

/// `name`, `db.name` or either in backquotes, where the dot is a word of its own.
fn table_name(lexer: &mut Lexer<'_>) -> Result<(), SchemaError> {
    lexer.name("the table's name")?;
    while matches!(lexer.peek(), Token::Word(_) | Token::Name(_)) {
        lexer.next();
    }
    Ok(())
}

fn columns(lexer: &mut Lexer<'_>) -> Result<Vec<(String, HiveType)>, SchemaError> {
    let mut columns = Vec::new();
    lexer.expect('(')?;
    loop {
        let name = lexer.name("a column's name")?;
        let hive_type = HiveType::read(lexer, 0).map_err(|fault| fault.of_column(&name))?;
        columns.push((name, hive_type));
        if lexer.take_word("COMMENT") {
            lexer.text()?;
        }
        if lexer.take(')') {
            return Ok(columns);
        }
        let line = lexer.line();
        if lexer.next() != Token::Mark(',') {
            return Err(lexer.back(line, "COMMENT, \",\" or \")\""));
        }
    }
}

/// Reads a clause and says whether there was one. What follows its keyword may be words, texts and lists in parentheses.
fn clause(lexer: &mut Lexer<'_>) -> Result<bool, SchemaError> {
    let line = lexer.line();
    match lexer.next() {
        Token::End => return Ok(false),
        Token::Mark(';') => return lexer.end().map(|()| false),
        Token::Word(word) if starts_clause(word) => {}
        _ => return Err(lexer.back(line, &format!("one of {}", CLAUSES.join(", ")))),
    }
    loop {
        match lexer.peek() {
            Token::Mark('(') => parentheses(lexer)?,
            Token::Mark(';') | Token::End => return Ok(true),
            Token::Word(word) if starts_clause(word) => return Ok(true),
            Token::Word(_) | Token::Name(_) | Token::Text(_) => {
                lexer.next();
            }
            Token::Mark(_) => {
                let line = lexer.line();
                lexer.next();
                return Err(lexer.back(line, "a clause of the table"));
            }
        }
    }
}

fn parentheses(lexer: &mut Lexer<'_>) -> Result<(), SchemaError> {
    let begins = lexer.line();
    let mut open = 0_usize;
    loop {
        match lexer.next() {
            Token::Mark('(') => open += 1,
            Token::Mark(')') if open <= 1 => return Ok(()),
            Token::Mark(')') => open -= 1,
            Token::End => return Err(lexer.back(begins, "\")\" to close what begins here")),
            _ => {}
        }
    }
}

fn starts_clause(word: &str) -> bool {
    CLAUSES.iter().any(|clause| clause.eq_ignore_ascii_case(word))
}

/// The words that clauses begin with.
const CLAUSES: &[&str] =
    &["COMMENT", "PARTITIONED", "CLUSTERED", "SKEWED", "ROW", "WITH", "STORED", "LOCATION", "TBLPROPERTIES"];
