//! Glue's table description.
//!
//! Members: <https://docs.aws.amazon.com/glue/latest/webapi/API_Table.html>

use serde_json::Value;

use super::hive_type::{HiveType, TypeFault};
use super::lexer::Lexer;
use super::{SchemaError, TableSchema};

pub(super) fn parse(json: &str) -> Result<TableSchema, SchemaError> {
    let answer: Value = serde_json::from_str(json).map_err(|error| SchemaError::Glue(error.to_string()))?;
    let version = answer.get("TableVersion").unwrap_or(&answer);
    let table = version.get("Table").unwrap_or(version);
    let columns =
        member(table, "StorageDescriptor", "").and_then(|storage| member(storage, "Columns", "StorageDescriptor."));
    let columns =
        columns?.as_array().ok_or_else(|| SchemaError::Glue("StorageDescriptor.Columns is not a list".to_owned()))?;
    let mut parsed = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let name = text(column, "Name", index)?;
        let hive_type = hive_type(text(column, "Type", index)?).map_err(|fault| fault.of_column(name))?;
        parsed.push((name.to_owned(), hive_type));
    }
    TableSchema::new(parsed)
}

fn member<'a>(value: &'a Value, name: &str, path: &str) -> Result<&'a Value, SchemaError> {
    value.get(name).ok_or_else(|| SchemaError::Glue(format!("{path}{name} is missing")))
}

fn text<'a>(column: &'a Value, name: &str, index: usize) -> Result<&'a str, SchemaError> {
    column
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| SchemaError::Glue(format!("StorageDescriptor.Columns[{index}].{name} is not a text")))
}

/// A column's type. Faults of its form are the column's too: lines mean nothing within JSON.
fn hive_type(text: &str) -> Result<HiveType, TypeFault> {
    let read = |mut lexer: Lexer<'_>| {
        let hive_type = HiveType::read(&mut lexer, 0)?;
        lexer.end()?;
        Ok(hive_type)
    };
    Lexer::new(text).map_err(TypeFault::from).and_then(read).map_err(|fault| match fault {
        TypeFault::Syntax(SchemaError::Syntax { expected, found, .. }) => {
            TypeFault::Refused(format!("the type {text:?}: expected {expected}, found {found}"))
        }
        other => other,
    })
}
