//! The tokens of Hive statements and type texts.
//!
//! A word is a run of anything but white space, quotes, `( ) < > , : ; =` and the beginning of a comment, so that Glue's looser
//! names (`user-agent`, `a.b`) are words too. Comments are `-- …` up to the end of the line and `/* … */`.

use super::SchemaError;

/// Gives out tokens, each once.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    tokens: Vec<(Token<'a>, usize)>,
    at: usize,
    last_line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword, name or number.
    Word(&'a str),
    /// A name in backquotes.
    Name(String),
    /// A text in quotes.
    Text(String),
    /// One of `( ) < > , : ; =`.
    Mark(char),
    End,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, SchemaError> {
        let mut tokens = Vec::new();
        let (mut rest, mut line) = (text, 1);
        while let Some(first) = rest.chars().next() {
            let (found, length) = token(rest, first, line)?;
            let (taken, after) = rest.split_at(length);
            if let Some(found) = found {
                tokens.push((found, line));
            }
            line += taken.matches('\n').count();
            rest = after;
        }
        Ok(Self { tokens, at: 0, last_line: line })
    }

    /// The line of the token that comes next.
    pub(super) fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(self.last_line, |(_, line)| *line)
    }

    pub(super) fn next(&mut self) -> Token<'a> {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    pub(super) fn peek(&self) -> &Token<'a> {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    /// The error that the token given out last, on `line`, is not `expected`.
    pub(super) fn back(&self, line: usize, expected: &str) -> SchemaError {
        let found = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let found = match found.map(|(token, _)| token) {
            Some(Token::Word(word)) => format!("{word:?}"),
            Some(Token::Name(name)) => format!("`{name}`"),
            Some(Token::Text(text)) => format!("the text {text:?}"),
            Some(Token::Mark(mark)) => format!("{:?}", mark.to_string()),
            Some(Token::End) | None => "the end".to_owned(),
        };
        SchemaError::Syntax { line, expected: expected.to_owned(), found }
    }

    /// Takes the mark, if it comes next.
    pub(super) fn take(&mut self, mark: char) -> bool {
        let there = *self.peek() == Token::Mark(mark);
        self.at += usize::from(there);
        there
    }

    /// Takes the keyword, if it comes next.
    pub(super) fn take_word(&mut self, keyword: &str) -> bool {
        let there = matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(there);
        there
    }

    pub(super) fn expect(&mut self, mark: char) -> Result<(), SchemaError> {
        let line = self.line();
        if self.next() == Token::Mark(mark) { Ok(()) } else { Err(self.back(line, &format!("{:?}", mark.to_string()))) }
    }

    pub(super) fn expect_word(&mut self, keyword: &str) -> Result<(), SchemaError> {
        let line = self.line();
        match self.next() {
            Token::Word(word) if word.eq_ignore_ascii_case(keyword) => Ok(()),
            _ => Err(self.back(line, keyword)),
        }
    }

    /// A name, with or without backquotes.
    pub(super) fn name(&mut self, expected: &str) -> Result<String, SchemaError> {
        let line = self.line();
        match self.next() {
            Token::Word(word) => Ok(word.to_owned()),
            Token::Name(name) => Ok(name),
            _ => Err(self.back(line, expected)),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, SchemaError> {
        let line = self.line();
        match self.next() {
            Token::Text(text) => Ok(text),
            _ => Err(self.back(line, "a text in quotes")),
        }
    }

    pub(super) fn end(&mut self) -> Result<(), SchemaError> {
        let line = self.line();
        if self.next() == Token::End { Ok(()) } else { Err(self.back(line, "the end")) }
    }
}

/// The token that `text` begins with, none for white space and comments, and its bytes.
fn token(text: &str, first: char, line: usize) -> Result<(Option<Token<'_>>, usize), SchemaError> {
    Ok(match first {
        _ if first.is_whitespace() => (None, first.len_utf8()),
        '(' | ')' | '<' | '>' | ',' | ':' | ';' | '=' => (Some(Token::Mark(first)), 1),
        '`' => {
            let (name, length) = quoted(text, '`', line)?;
            (Some(Token::Name(name)), length)
        }
        '\'' | '"' => {
            let (content, length) = quoted(text, first, line)?;
            (Some(Token::Text(content)), length)
        }
        _ if text.starts_with("--") => (None, text.find('\n').unwrap_or(text.len())),
        _ if text.starts_with("/*") => match text.find("*/") {
            Some(at) => (None, at + 2),
            None => return Err(open(line, "*/")),
        },
        _ => {
            let word = text.get(..word_len(text)).unwrap_or(text);
            (Some(Token::Word(word)), word.len())
        }
    })
}

fn word_len(text: &str) -> usize {
    let ends = |(at, c): &(usize, char)| {
        let comment = || text.get(*at..).is_some_and(|rest| rest.starts_with("--") || rest.starts_with("/*"));
        c.is_whitespace() || "()<>,:;='\"`".contains(*c) || ("-/".contains(*c) && comment())
    };
    text.char_indices().find(ends).map_or(text.len(), |(at, _)| at)
}

/// What stands between the quotes that `text` begins with, and the bytes of all. A doubled quote stands for itself, and, in a
/// text, so does what follows a backslash.
fn quoted(text: &str, quote: char, line: usize) -> Result<(String, usize), SchemaError> {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            if chars.next_if(|(_, next)| *next == quote).is_none() {
                return Ok((content, at + 1));
            }
        } else if c == '\\'
            && quote != '`'
            && let Some((_, escaped)) = chars.next()
        {
            content.push(escaped);
            continue;
        }
        content.push(c);
    }
    Err(open(line, &quote.to_string()))
}

fn open(line: usize, closing: &str) -> SchemaError {
    SchemaError::Syntax { line, expected: format!("{closing} to close what begins here"), found: "the end".to_owned() }
}
