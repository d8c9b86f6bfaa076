use arrow_schema::{DataType, TimeUnit};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn columns(schema: &TableSchema) -> Vec<(String, String)> {
    schema.columns().iter().map(|column| (column.name.clone(), column.hive_type.to_string())).collect()
}

fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(name, hive_type)| ((*name).to_owned(), (*hive_type).to_owned())).collect()
}

fn refused(result: Result<impl fmt::Debug, SchemaError>) -> String {
    result.expect_err("the schema is wrong").to_string()
}

#[test]
fn every_hive_type_survives_its_text() {
    for text in [
        "boolean",
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "float",
        "double",
        "decimal(38,38)",
        "string",
        "char(255)",
        "varchar(65535)",
        "binary",
        "date",
        "timestamp",
        "array<array<int>>",
        "map<string,array<struct<a:int,`b c`:map<date,decimal(1,0)>>>>",
        "struct<`é``x`:int,`a:b`:string>",
    ] {
        assert_eq!(text.parse::<HiveType>().expect(text).to_string(), text);
    }
}

#[test]
fn types_are_read_in_whatever_case_and_spacing() {
    for (text, shown) in [
        (" ARRAY < Struct< A : INT , b-c.d:STRING > > ", "array<struct<a:int,`b-c.d`:string>>"),
        ("Decimal", "decimal(10,0)"),
        ("numeric ( 5 )", "decimal(5,0)"),
        ("DEC(5,2)", "decimal(5,2)"),
        ("integer", "int"),
        ("double precision", "double"),
        ("struct<a:int comment 'x, y',b:int>", "struct<a:int,b:int>"),
    ] {
        assert_eq!(text.parse::<HiveType>().expect(text).to_string(), shown);
    }
}

#[test]
fn types_that_cannot_be_written_are_refused_by_column_and_type() {
    for (hive_type, reason) in [
        ("uniontype<int,string>", "the type uniontype cannot be converted to"),
        ("set<string>", "the type set cannot be converted to"),
        ("interval", "the type interval cannot be converted to"),
        ("timestamp with local time zone", "the type timestamp with local time zone cannot be converted to"),
        ("array<struct<a:set<int>>>", "the type set cannot be converted to"),
        ("text", "\"text\" is not a Hive type"),
        ("decimal(39,0)", "decimal(39,0) is not possible: the precision is 1 to 38, the scale 0 up to the precision"),
        ("decimal(5,6)", "decimal(5,6) is not possible: the precision is 1 to 38, the scale 0 up to the precision"),
        ("char(0)", "char(0) is not possible: the length is 1 to 255"),
        ("char(256)", "char(256) is not possible: the length is 1 to 255"),
        ("varchar(65536)", "varchar(65536) is not possible: the length is 1 to 65535"),
        ("map<array<int>,int>", "the key of a map cannot be array<int>"),
        ("struct<a:int,A:int>", "the struct has the field \"a\" twice (case does not count)"),
    ] {
        let wanted = format!("column \"Bad\": {reason}");
        assert_eq!(refused(TableSchema::from_ddl(&format!("CREATE TABLE t (x int, Bad {hive_type})"))), wanted);
        let glue = json!({"StorageDescriptor": {"Columns": [{"Name": "Bad", "Type": hive_type}]}}).to_string();
        assert_eq!(refused(TableSchema::from_glue(&glue)), wanted);
        assert_eq!(refused(hive_type.parse::<HiveType>()), reason);
    }
}

#[test]
fn types_of_the_wrong_form_are_refused_where_they_go_wrong() {
    for (text, message) in [
        ("array int", "line 1: expected \"<\", found \"int\""),
        ("array<int", "line 1: expected \">\", found the end"),
        ("struct<>", "line 1: expected a field's name, found \">\""),
        ("struct<a int>", "line 1: expected \":\", found \"int\""),
        ("map<string>", "line 1: expected \",\", found \">\""),
        ("char", "line 1: expected \"(\", found the end"),
        ("decimal(x)", "line 1: expected a number, found \"x\""),
        ("int int", "line 1: expected the end, found \"int\""),
        ("", "line 1: expected a type, found the end"),
        ("'int'", "line 1: expected a type, found the text \"int\""),
    ] {
        assert_eq!(refused(text.parse::<HiveType>()), message, "{text}");
    }
    assert!("array<".repeat(100_000).parse::<HiveType>().is_err());
}

#[test]
fn a_glue_table_is_read_with_and_without_its_wrapper() {
    let table = json!({
        "Name": "t", "DatabaseName": "d",
        "StorageDescriptor": {
            "Columns": [
                {"Name": "Id", "Type": "bigint", "Comment": "the id"},
                {"Name": "tags", "Type": "array<string>"},
            ],
            "Location": "s3://b/t",
        },
        "PartitionKeys": [{"Name": "day", "Type": "string"}],
    });
    let wanted = pairs(&[("id", "bigint"), ("tags", "array<string>")]);
    for answer in [table.clone(), json!({"Table": table}), json!({"TableVersion": {"Table": table, "VersionId": "3"}})]
    {
        let schema = TableSchema::from_definition(&format!("\u{feff}\n{answer}")).expect("a table");
        assert_eq!(columns(&schema), wanted);
    }
}

#[test]
fn a_glue_table_that_lacks_something_is_refused_by_its_name() {
    for (table, message) in [
        (json!({"Table": {}}), "the table's JSON: StorageDescriptor is missing"),
        (json!({"StorageDescriptor": {}}), "the table's JSON: StorageDescriptor.Columns is missing"),
        (json!({"StorageDescriptor": {"Columns": 1}}), "the table's JSON: StorageDescriptor.Columns is not a list"),
        (json!({"StorageDescriptor": {"Columns": []}}), "the table has no columns"),
        (
            json!({"StorageDescriptor": {"Columns": [{"Name": "a", "Type": "int"}, {"Name": "b"}]}}),
            "the table's JSON: StorageDescriptor.Columns[1].Type is not a text",
        ),
        (
            json!({"StorageDescriptor": {"Columns": [{"Name": "a", "Type": "array<int"}]}}),
            "column \"a\": the type \"array<int\": expected \">\", found the end",
        ),
    ] {
        assert_eq!(refused(TableSchema::from_glue(&table.to_string())), message);
    }
    assert!(refused(TableSchema::from_definition("{")).starts_with("the table's JSON: EOF"));
}

#[test]
fn a_hive_statement_is_read_with_all_its_clauses() {
    let statement = "
        -- what the shop sends
        create External TABLE if not exists `shop`.`clicks` (
            `Id` BIGINT COMMENT 'it''s the \\'id\\', (unique)', /* more
            than one line */
            tags array<string>,
            `device info` struct<os : string, `w-h`:array<int>> comment \"x\",
            price decimal(10, 2)
        )
        COMMENT 'clicks; all of them'
        PARTITIONED BY (day string COMMENT 'x', hour int)
        CLUSTERED BY (id) SORTED BY (id ASC) INTO 8 BUCKETS
        ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
        WITH SERDEPROPERTIES ('a'='b', 'c' = 'd)')
        STORED AS INPUTFORMAT 'x' OUTPUTFORMAT 'y'
        LOCATION 's3://bucket/prefix/'
        TBLPROPERTIES ('k'='v');
        -- the end
    ";
    let schema = TableSchema::from_definition(statement).expect("a table");
    let wanted = [
        ("id", "bigint"),
        ("tags", "array<string>"),
        ("device info", "struct<os:string,`w-h`:array<int>>"),
        ("price", "decimal(10,2)"),
    ];
    assert_eq!(columns(&schema), pairs(&wanted));
    let shortest = TableSchema::from_ddl("CREATE TABLE db.t(a int)").expect("a table");
    assert_eq!(columns(&shortest), pairs(&[("a", "int")]));
}

#[test]
fn a_wrong_statement_is_refused_by_line() {
    for (statement, message) in [
        ("SELECT 1", "line 1: expected CREATE, found \"SELECT\""),
        ("CREATE VIEW v", "line 1: expected TABLE, found \"VIEW\""),
        ("CREATE TABLE IF EXISTS t (a int)", "line 1: expected NOT, found \"EXISTS\""),
        ("CREATE TABLE (a int)", "line 1: expected the table's name, found \"(\""),
        ("CREATE TABLE t\n\nLIKE u", "line 3: expected \"(\", found the end"),
        ("CREATE TABLE t (\n  a int\n  b int)", "line 3: expected COMMENT, \",\" or \")\", found \"b\""),
        ("CREATE TABLE t (\n  a int,\n)", "line 3: expected a column's name, found \")\""),
        ("CREATE TABLE t (\n  a\n)", "line 3: expected a type, found \")\""),
        ("CREATE TABLE t (a int COMMENT x)", "line 1: expected a text in quotes, found \"x\""),
        ("CREATE TABLE t (a array<int)", "line 1: expected \">\", found \")\""),
        ("CREATE TABLE t (a int", "line 1: expected COMMENT, \",\" or \")\", found the end"),
        (
            "CREATE TABLE t (a int)\nSTORD AS ORC",
            "line 2: expected one of COMMENT, PARTITIONED, CLUSTERED, SKEWED, ROW, WITH, STORED, LOCATION, TBLPROPERTIES, found \"STORD\"",
        ),
        (
            "CREATE TABLE t (a int)\nTBLPROPERTIES ('a'='b'",
            "line 2: expected \")\" to close what begins here, found the end",
        ),
        ("CREATE TABLE t (a int);\nDROP TABLE t", "line 2: expected the end, found \"DROP\""),
        ("CREATE TABLE t (a int COMMENT 'x)", "line 1: expected ' to close what begins here, found the end"),
        ("CREATE TABLE t (\n`a int)", "line 2: expected ` to close what begins here, found the end"),
        ("CREATE TABLE t (a int /* b int)", "line 1: expected */ to close what begins here, found the end"),
        ("CREATE TABLE t (a int, b int, A string)", "column \"a\" is there twice (case does not count)"),
        ("CREATE TABLE t (`` int)", "a column has no name"),
        ("", "line 1: expected CREATE, found the end"),
    ] {
        assert_eq!(refused(TableSchema::from_ddl(statement)), message, "{statement}");
    }
}

#[test]
fn tables_end_at_10000_columns_and_fields() {
    let wide = |count: usize| TableSchema::new((0..count).map(|at| (format!("c{at}"), HiveType::Int)));
    assert!(wide(10_000).is_ok());
    assert_eq!(wide(10_001), Err(SchemaError::TooMany(10_001)));
    let fields = (0..10_000).map(|at| StructField { name: format!("f{at}"), hive_type: HiveType::Int }).collect();
    let within = TableSchema::new([("s".to_owned(), HiveType::Array(Box::new(HiveType::Struct(fields))))]);
    assert_eq!(within, Err(SchemaError::TooMany(10_001)));
}

#[test]
fn a_schema_survives_its_json_and_keeps_its_hash() {
    let schema = TableSchema::from_ddl("CREATE TABLE t (A int, `b c` struct<`x y`:array<char(3)>>)").expect("a table");
    let stored = r#"{"columns":[{"name":"a","type":"int"},{"name":"b c","type":"struct<`x y`:array<char(3)>>"}]}"#;
    assert_eq!(serde_json::to_string(&schema).expect("it is plain"), stored);
    let read: TableSchema = serde_json::from_str(stored).expect("it was written");
    assert_eq!(read, schema);
    assert_eq!(hex::encode(read.hash()), "53940c87bb981433ab2ff070a3705e9b1867f87eb0a20c3b935af9170890c738");
    assert_ne!(schema.hash(), TableSchema::from_ddl("CREATE TABLE t (a int)").expect("a table").hash());
    let twice = r#"{"columns":[{"name":"a","type":"int"},{"name":"A","type":"int"}]}"#;
    assert!(serde_json::from_str::<TableSchema>(twice).is_err());
    assert!(serde_json::from_str::<TableSchema>(r#"{"columns":[{"name":"a","type":"set<int>"}]}"#).is_err());
}

#[test]
fn arrow_types_are_those_that_writers_expect() {
    let schema = TableSchema::from_ddl(
        "CREATE TABLE t (a boolean, b tinyint, c smallint, d int, e bigint, f float, g double, h decimal(38,10), i string,
         j char(3), k varchar(4), l binary, m date, n timestamp, o array<char(2)>, p map<string,int>, q struct<x:varchar(1)>)",
    );
    let arrow = schema.expect("a table").arrow();
    let wanted = [
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(38, 10),
        DataType::Utf8,
        DataType::Utf8,
        DataType::Utf8,
        DataType::Binary,
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Nanosecond, None),
    ];
    for (field, wanted) in arrow.fields().iter().zip(&wanted) {
        assert_eq!(field.data_type(), wanted);
        assert!(field.is_nullable());
    }
    let hive_type = |field: &arrow_schema::Field| field.metadata().get(HIVE_TYPE).cloned();
    assert_eq!(hive_type(arrow.field(8)), None);
    assert_eq!(hive_type(arrow.field(9)).as_deref(), Some("char(3)"));
    assert_eq!(hive_type(arrow.field(10)).as_deref(), Some("varchar(4)"));
    let DataType::List(item) = arrow.field(14).data_type() else { panic!("a list") };
    assert_eq!((item.name().as_str(), item.is_nullable()), ("array_element", true));
    assert_eq!(hive_type(item).as_deref(), Some("char(2)"));
    let DataType::Map(entries, false) = arrow.field(15).data_type() else { panic!("a map") };
    assert_eq!((entries.name().as_str(), entries.is_nullable()), ("map", false));
    let DataType::Struct(entry) = entries.data_type() else { panic!("entries") };
    assert_eq!(
        entry.iter().map(|field| (field.name().as_str(), field.is_nullable())).collect::<Vec<_>>(),
        [("key", false), ("value", true)]
    );
    let DataType::Struct(fields) = arrow.field(16).data_type() else { panic!("a struct") };
    assert_eq!(fields.first().and_then(|field| hive_type(field)).as_deref(), Some("varchar(1)"));
}

proptest! {
    #[test]
    fn arbitrary_text_is_a_schema_that_survives_or_an_error(text in "\\PC{0,60}") {
        let _ = TableSchema::from_definition(&text);
        if let Ok(hive_type) = text.parse::<HiveType>() {
            prop_assert_eq!(hive_type.to_string().parse::<HiveType>(), Ok(hive_type));
        }
    }

    #[test]
    fn statement_like_text_is_a_schema_that_survives_or_an_error(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "int", "string", "array", "<", ">", "struct", ":", ",", "(", ")", "a", "B", "`x y`", "map", "decimal", "3", "COMMENT",
            "'t'", "PARTITIONED", "BY", ";", "--", "/*", "*/", "\n", "'", "`", "=",
        ]), 0..16),
    ) {
        let text = format!("CREATE TABLE t (a {}", words.join(" "));
        if let Ok(schema) = TableSchema::from_ddl(&text) {
            let again = TableSchema::from_ddl(&format!("CREATE TABLE t ({schema})"));
            prop_assert_eq!(again, Ok(schema));
        }
    }
}
