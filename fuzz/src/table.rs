//! Definitions of tables.

use hydrant_transforms::formats::schema::TableSchema;

/// Runs a definition; what it gives is written in each way that there is, and read again.
pub fn check(data: &[u8]) {
    let Some(text) = crate::text(data) else { return };
    let _ = TableSchema::from_definition(text);
    let _ = TableSchema::from_glue(text);
    let Ok(schema) = TableSchema::from_ddl(text) else { return };
    assert_eq!(TableSchema::from_definition(text).as_ref(), Ok(&schema), "a file may hold the statement");
    let json = serde_json::to_string(&schema).expect("a schema is JSON");
    assert_eq!(serde_json::from_str::<TableSchema>(&json).ok().as_ref(), Some(&schema), "{json}");
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let columns: Vec<_> =
        schema.columns().iter().map(|column| format!("{} {}", quoted(&column.name), column.hive_type)).collect();
    let statement = format!("CREATE EXTERNAL TABLE `db`.`t` ({}) LOCATION 's3://b/'", columns.join(", "));
    assert_eq!(TableSchema::from_ddl(&statement).as_ref(), Ok(&schema), "{statement}");
    assert_eq!(schema.hash(), TableSchema::from_ddl(&statement).map_or([0; 32], |same| same.hash()));
    assert_eq!(schema.arrow().fields().len(), schema.columns().len());
    for column in schema.columns() {
        assert_eq!(schema.column(&column.name), Some(column), "a column is found under its name");
    }
}

/// What inputs are bent with.
pub const WORDS: &[&str] = &[
    "CREATE ",
    "EXTERNAL ",
    "TABLE ",
    "IF NOT EXISTS ",
    "t",
    "(",
    ")",
    "a",
    " int",
    "`",
    "``",
    ",",
    "array<",
    "map<",
    "struct<",
    ":",
    ">",
    "decimal(",
    "38",
    "varchar(",
    "COMMENT 'x'",
    "PARTITIONED BY (",
    "ROW FORMAT SERDE '",
    "'",
    "\"",
    "\\",
    "--",
    "/*",
    "*/",
    ";",
    "\n",
    "É",
    "İ",
    "STORED AS ",
    "LOCATION ",
    "TBLPROPERTIES ('a'='b')",
    "set<",
    "timestamp",
    " with local time zone",
    "double precision",
    "_",
    "1",
];
