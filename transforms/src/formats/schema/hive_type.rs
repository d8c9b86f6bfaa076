//! Hive's types, and their text.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::SchemaError;
use super::lexer::{Lexer, Token};

/// A Hive type that a columnar file can hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HiveType {
    /// `boolean`
    Boolean,
    /// `tinyint`: 8 bits.
    TinyInt,
    /// `smallint`: 16 bits.
    SmallInt,
    /// `int`: 32 bits.
    Int,
    /// `bigint`: 64 bits.
    BigInt,
    /// `float`: 32 bits.
    Float,
    /// `double`: 64 bits.
    Double,
    /// `decimal(precision,scale)`: 1 to 38 digits, of which up to all stand behind the point.
    Decimal {
        /// Digits.
        precision: u8,
        /// Those behind the point.
        scale: u8,
    },
    /// `string`
    String,
    /// `char(n)`: up to n (1 to 255) characters.
    Char(u16),
    /// `varchar(n)`: up to n (1 to 65,535) characters.
    Varchar(u16),
    /// `binary`
    Binary,
    /// `date`
    Date,
    /// `timestamp`, without a zone.
    Timestamp,
    /// `array<T>`
    Array(Box<Self>),
    /// `map<K,V>`; the key's type is not itself nested.
    Map(Box<Self>, Box<Self>),
    /// `struct<name:T,…>`: at least one field, no name twice.
    Struct(Vec<StructField>),
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StructField {
    /// Lower case.
    pub name: String,
    /// What its values are.
    pub hive_type: HiveType,
}

impl HiveType {
    /// Fields of all structs within.
    pub(super) fn fields_within(&self) -> usize {
        match self {
            Self::Array(item) => item.fields_within(),
            Self::Map(key, value) => key.fields_within() + value.fields_within(),
            Self::Struct(fields) => fields.iter().map(|field| 1 + field.hive_type.fields_within()).sum(),
            _ => 0,
        }
    }

    /// Reads the type that comes next. `depth` is how many types it stands within.
    pub(super) fn read(lexer: &mut Lexer<'_>, depth: usize) -> Result<Self, TypeFault> {
        if depth >= MAX_TYPE_DEPTH {
            return Err(TypeFault::Refused(format!("types are nested more than {MAX_TYPE_DEPTH} deep")));
        }
        let at = lexer.line();
        let Token::Word(word) = lexer.next() else {
            return Err(TypeFault::Syntax(lexer.back(at, "a type")));
        };
        let name = word.to_ascii_lowercase();
        Ok(match name.as_str() {
            "boolean" => Self::Boolean,
            "tinyint" => Self::TinyInt,
            "smallint" => Self::SmallInt,
            "int" | "integer" => Self::Int,
            "bigint" => Self::BigInt,
            "float" => Self::Float,
            "double" => {
                lexer.take_word("precision");
                Self::Double
            }
            "decimal" | "dec" | "numeric" => decimal(lexer)?,
            "string" => Self::String,
            "char" => Self::Char(length(lexer, "char", 255)?),
            "varchar" => Self::Varchar(length(lexer, "varchar", u16::MAX)?),
            "binary" => Self::Binary,
            "date" => Self::Date,
            "timestamp" => timestamp(lexer)?,
            "array" => {
                lexer.expect('<')?;
                let item = Self::read(lexer, depth + 1)?;
                lexer.expect('>')?;
                Self::Array(Box::new(item))
            }
            "map" => map(lexer, depth)?,
            "struct" => Self::Struct(fields(lexer, depth)?),
            "set"
            | "uniontype"
            | "interval"
            | "interval_year_month"
            | "interval_day_time"
            | "timestamptz"
            | "timestamplocaltz"
            | "void" => {
                return Err(TypeFault::Refused(format!("the type {name} cannot be converted to")));
            }
            _ => return Err(TypeFault::Refused(format!("{word:?} is not a Hive type"))),
        })
    }
}

/// What is wrong with a type's text.
#[derive(Debug)]
pub(super) enum TypeFault {
    /// Its form.
    Syntax(SchemaError),
    /// Its meaning; says which type.
    Refused(String),
}

impl TypeFault {
    /// As the fault of a column.
    pub(super) fn of_column(self, column: &str) -> SchemaError {
        match self {
            Self::Syntax(error) => error,
            Self::Refused(reason) => SchemaError::Type { column: column.to_owned(), reason },
        }
    }
}

impl From<SchemaError> for TypeFault {
    fn from(error: SchemaError) -> Self {
        Self::Syntax(error)
    }
}

/// `(precision,scale)`, or Hive's default of (10,0).
fn decimal(lexer: &mut Lexer<'_>) -> Result<HiveType, TypeFault> {
    let (mut precision, mut scale) = (10, 0);
    if lexer.take('(') {
        precision = number(lexer)?;
        if lexer.take(',') {
            scale = number(lexer)?;
        }
        lexer.expect(')')?;
    }
    match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale)) if scale <= precision => Ok(HiveType::Decimal { precision, scale }),
        _ => Err(TypeFault::Refused(format!(
            "decimal({precision},{scale}) is not possible: the precision is 1 to 38, the scale 0 up to the precision"
        ))),
    }
}

fn length(lexer: &mut Lexer<'_>, name: &str, most: u16) -> Result<u16, TypeFault> {
    lexer.expect('(')?;
    let length = number(lexer)?;
    lexer.expect(')')?;
    match u16::try_from(length) {
        Ok(length) if (1..=most).contains(&length) => Ok(length),
        _ => Err(TypeFault::Refused(format!("{name}({length}) is not possible: the length is 1 to {most}"))),
    }
}

/// `timestamp`, but not the one that has a zone.
fn timestamp(lexer: &mut Lexer<'_>) -> Result<HiveType, TypeFault> {
    if lexer.take_word("with") {
        return Err(TypeFault::Refused("the type timestamp with local time zone cannot be converted to".to_owned()));
    }
    Ok(HiveType::Timestamp)
}

fn map(lexer: &mut Lexer<'_>, depth: usize) -> Result<HiveType, TypeFault> {
    lexer.expect('<')?;
    let key = HiveType::read(lexer, depth + 1)?;
    if matches!(key, HiveType::Array(_) | HiveType::Map(..) | HiveType::Struct(_)) {
        return Err(TypeFault::Refused(format!("the key of a map cannot be {key}")));
    }
    lexer.expect(',')?;
    let value = HiveType::read(lexer, depth + 1)?;
    lexer.expect('>')?;
    Ok(HiveType::Map(Box::new(key), Box::new(value)))
}

fn fields(lexer: &mut Lexer<'_>, depth: usize) -> Result<Vec<StructField>, TypeFault> {
    lexer.expect('<')?;
    let mut fields = Vec::new();
    let mut names = HashSet::new();
    loop {
        let name = lexer.name("a field's name")?.to_lowercase();
        lexer.expect(':')?;
        let hive_type = HiveType::read(lexer, depth + 1)?;
        if lexer.take_word("comment") {
            lexer.text()?;
        }
        if !names.insert(name.clone()) {
            return Err(TypeFault::Refused(format!("the struct has the field {name:?} twice (case does not count)")));
        }
        fields.push(StructField { name, hive_type });
        if !lexer.take(',') {
            break;
        }
    }
    lexer.expect('>')?;
    Ok(fields)
}

fn number(lexer: &mut Lexer<'_>) -> Result<u64, SchemaError> {
    let at = lexer.line();
    match lexer.next() {
        Token::Word(word) => word.parse().map_err(|_| lexer.back(at, "a number")),
        _ => Err(lexer.back(at, "a number")),
    }
}

impl FromStr for HiveType {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let mut lexer = Lexer::new(text)?;
        let read = Self::read(&mut lexer, 0).and_then(|hive_type| Ok(lexer.end().map(|()| hive_type)?));
        read.map_err(|fault| match fault {
            TypeFault::Syntax(error) => error,
            TypeFault::Refused(reason) => SchemaError::BareType(reason),
        })
    }
}

impl fmt::Display for HiveType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Int => f.write_str("int"),
            Self::BigInt => f.write_str("bigint"),
            Self::Float => f.write_str("float"),
            Self::Double => f.write_str("double"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::String => f.write_str("string"),
            Self::Char(length) => write!(f, "char({length})"),
            Self::Varchar(length) => write!(f, "varchar({length})"),
            Self::Binary => f.write_str("binary"),
            Self::Date => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Array(item) => write!(f, "array<{item}>"),
            Self::Map(key, value) => write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("struct")?;
                let mut before = "<";
                for field in fields {
                    write!(f, "{before}{}:{}", Name(&field.name), field.hive_type)?;
                    before = ",";
                }
                f.write_str(">")
            }
        }
    }
}

/// A name, in backquotes where Hive wants them.
pub(super) struct Name<'a>(pub(super) &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !self.0.is_empty() && self.0.chars().all(plain) {
            f.write_str(self.0)
        } else {
            write!(f, "`{}`", self.0.replace('`', "``"))
        }
    }
}

impl Serialize for HiveType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HiveType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How deep types may stand within types.
pub const MAX_TYPE_DEPTH: usize = 64;
