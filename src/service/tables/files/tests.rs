use std::fs;

use super::*;

const DDL: &str = "CREATE TABLE clicks (page string, at timestamp)";
const JSON: &str = r#"{"Name":"clicks","StorageDescriptor":{"Columns":[{"Name":"page","Type":"string"}]}}"#;

struct Schemas(tempfile::TempDir);

impl Schemas {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn files(&self) -> Files {
        Files { dir: self.0.path().to_owned() }
    }

    /// The names of the columns, without the directory's name in errors.
    fn columns(&self, id: &TableId) -> Result<Option<Vec<String>>, TableError> {
        let read = self.files().read(id, None).and_then(|read| read.map(|read| read.schema).transpose());
        let read = read.map_err(|error| {
            let message = error.message.replace(&format!("{}/", self.0.path().display()), "");
            TableError { message, ..error }
        })?;
        Ok(read.map(|schema| schema.columns().iter().map(|column| column.name.clone()).collect()))
    }

    fn fault(&self, id: &TableId) -> (&'static str, String) {
        let error = self.columns(id).unwrap_err();
        (error.code, error.message)
    }
}

fn table(database: &str, table: &str, version: Option<u64>) -> TableId {
    TableId {
        catalog: None,
        region: "eu-west-1".to_owned(),
        database: database.to_owned(),
        table: table.to_owned(),
        version,
    }
}

fn clicks() -> TableId {
    table("sales", "clicks", None)
}

#[test]
fn a_table_is_found_under_each_of_its_names() {
    for name in [
        "sales.clicks.json",
        "sales.clicks.sql",
        "sales.clicks.ddl",
        "sales.clicks.hql",
        "sales/clicks.sql",
        "sales/clicks.json",
        "Sales.Clicks.SQL",
        "SALES/Clicks.sql",
    ] {
        let schemas = Schemas::new();
        schemas.write(name, DDL);
        // Its neighbours are others'.
        for other in
            ["sales.clicks.txt", "sales.clicks", "sales.clicks2.sql", "sales/xclicks.sql", "sales.sql", "clicks.sql"]
        {
            schemas.write(other, "not read");
        }
        assert_eq!(schemas.columns(&clicks()), Ok(Some(vec!["page".to_owned(), "at".to_owned()])), "{name}");
    }
}

#[test]
fn what_is_in_a_file_decides_how_it_is_read() {
    let schemas = Schemas::new();
    schemas.write("sales.clicks.sql", JSON);
    schemas.write("sales.orders.json", DDL);
    assert_eq!(schemas.columns(&clicks()), Ok(Some(vec!["page".to_owned()])));
    assert_eq!(schemas.columns(&table("sales", "orders", None)).unwrap().unwrap().len(), 2);
}

#[test]
fn a_version_has_a_file_of_its_own() {
    let schemas = Schemas::new();
    schemas.write("sales.clicks.sql", DDL);
    let third = table("sales", "clicks", Some(3));
    assert_eq!(schemas.columns(&third), Ok(None), "the newest is not taken for another");
    schemas.write("sales/clicks@3.json", JSON);
    assert_eq!(schemas.columns(&third), Ok(Some(vec!["page".to_owned()])));
    assert_eq!(schemas.columns(&clicks()).unwrap().unwrap().len(), 2);
    assert_eq!(schemas.columns(&table("sales", "clicks", Some(33))), Ok(None));
}

#[test]
fn no_file_and_no_directory_are_no_table() {
    let schemas = Schemas::new();
    assert_eq!(schemas.columns(&clicks()), Ok(None));
    let nowhere = Files { dir: schemas.0.path().join("none") };
    assert!(nowhere.read(&clicks(), None).unwrap().is_none());
}

#[test]
fn two_files_of_one_table_are_told_and_neither_is_taken() {
    let schemas = Schemas::new();
    schemas.write("sales.clicks.sql", DDL);
    schemas.write("sales/clicks.json", JSON);
    let told = "Table sales.clicks is defined in more than one file: sales/clicks.json, sales.clicks.sql";
    assert_eq!(schemas.fault(&clicks()), (code::INVALID_SCHEMA, told.to_owned()));
}

#[test]
fn no_name_leads_out_of_the_directory() {
    let outer = Schemas::new();
    outer.write("secret.sql", DDL);
    outer.write("schemas/inner.t.sql", DDL);
    let files = Files { dir: outer.0.path().join("schemas") };
    for (database, name) in [
        ("..", "secret"),
        (".", "secret"),
        ("a/../..", "secret"),
        ("x", "../secret"),
        ("", "secret"),
        ("..\\", "secret"),
        ("x", "t@1"),
        ("", ""),
    ] {
        let id = table(database, name, None);
        assert!(files.read(&id, None).unwrap().is_none(), "{id}");
        let error = files.not_found(&id);
        assert_eq!(error.code, code::INVALID_INPUT, "{id}");
        assert!(error.message.contains("No file can stand in for it"), "{error}");
    }
}

#[test]
fn what_a_file_has_wrong_is_told_with_its_name_and_line() {
    let schemas = Schemas::new();
    let fault = |text: &[u8]| {
        schemas.write("sales.clicks.sql", text);
        schemas.fault(&clicks())
    };
    let told = fault(b"CREATE TABLE t (\n  page text\n)");
    assert_eq!(told.0, code::INVALID_SCHEMA);
    assert!(told.1.starts_with("Table sales.clicks: sales.clicks.sql: column \"page\""), "{}", told.1);
    let told = fault(b"CREATE TABLE t (\n  page string,,\n)");
    assert!(told.1.starts_with("Table sales.clicks: sales.clicks.sql: line 2: expected"), "{}", told.1);
    let told = fault(b"{\n\"StorageDescriptor\": {\n");
    assert!(told.1.contains("line 3"), "{}", told.1);
    assert_eq!(fault(b"\xff").1, "Table sales.clicks: sales.clicks.sql: is not UTF-8");
    let large = vec![b' '; usize::try_from(MOST_BYTES).unwrap() + 1];
    assert_eq!(fault(&large).1, "Table sales.clicks: sales.clicks.sql: is larger than 16 MiB");
}

#[test]
fn a_file_is_read_again_only_when_it_changed() {
    let schemas = Schemas::new();
    let path = schemas.write("sales.clicks.sql", DDL);
    let files = schemas.files();
    let first = files.read(&clicks(), None).unwrap().unwrap();
    let again = files.read(&clicks(), Some(first.clone())).unwrap().unwrap();
    assert!(Arc::ptr_eq(first.schema.as_ref().unwrap(), again.schema.as_ref().unwrap()));
    schemas.write("new.sql", "CREATE TABLE clicks (page int)");
    fs::rename(schemas.0.path().join("new.sql"), &path).unwrap();
    let changed = files.read(&clicks(), Some(again)).unwrap().unwrap();
    assert_eq!(changed.schema.as_ref().unwrap().columns().len(), 1);
    fs::write(&path, "CREATE TABLE").unwrap();
    let broken = files.read(&clicks(), Some(changed)).unwrap().unwrap();
    assert!(broken.schema.is_err(), "what it was before is not what somebody wants now");
    fs::remove_file(&path).unwrap();
    assert!(files.read(&clicks(), Some(broken)).unwrap().is_none());
}

#[test]
fn a_directory_that_cannot_be_listed_is_not_an_empty_one() {
    let schemas = Schemas::new();
    let file = schemas.write("file", "");
    let error = Files { dir: file }.read(&clicks(), None).unwrap_err();
    assert_eq!(error.code, code::ACCESS_DENIED);
    assert!(error.message.contains("file cannot be read: "), "{error}");
    fs::create_dir(schemas.0.path().join("sales.clicks.json")).unwrap();
    assert_eq!(schemas.fault(&clicks()).0, code::ACCESS_DENIED);
}

#[test]
fn a_table_that_is_nowhere_is_told_where_to_put() {
    let files = Files { dir: "/schemas".into() };
    assert_eq!(
        files.not_found(&table("sales", "clicks", Some(2))).message,
        "Table sales.clicks@2: Entity Not Found (Service: AWSGlue; Status Code: 400; Error Code: EntityNotFoundException). No file \
         stands in for it in /schemas (sales.clicks@2 or sales/clicks@2, ending in .json, .sql, .ddl or .hql): put \
         sales.clicks@2.json there, with Glue's JSON of the table or a CREATE TABLE statement, or set --glue-endpoint"
    );
}
