//! What a `LambdaArn` names.

use std::str::FromStr;

/// A function, and which of its versions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) function: String,
    /// A version, an alias or `$LATEST`.
    pub(super) qualifier: Option<String>,
}

impl FromStr for Name {
    type Err = String;

    /// Reads `arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]`, or `NAME[:QUALIFIER]` alone. Region and account are the
    /// endpoint's affair.
    fn from_str(text: &str) -> Result<Self, String> {
        let rule = || format!("{text:?} must be the ARN of a Lambda function, or its name");
        let parts: Vec<&str> = text.split(':').collect();
        let (function, qualifier) = match *parts.as_slice() {
            [function] | ["arn", _, "lambda", _, _, "function", function] => (function, None),
            [function, qualifier] | ["arn", _, "lambda", _, _, "function", function, qualifier] => {
                (function, Some(qualifier))
            }
            _ => return Err(rule()),
        };
        let is_word = |text: &str, more: &[char]| {
            let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_') || more.contains(&char);
            (1..=MOST_CHARS).contains(&text.len()) && text.chars().all(fits)
        };
        if !is_word(function, &[]) || !qualifier.is_none_or(|qualifier| is_word(qualifier, &['$', '.'])) {
            return Err(rule());
        }
        Ok(Self { function: function.to_owned(), qualifier: qualifier.map(str::to_owned) })
    }
}

/// AWS has fewer for names and as many for aliases.
const MOST_CHARS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_a_partial_one_and_a_name_name_a_function() {
        let read = |text: &str| text.parse::<Name>().map(|name| (name.function, name.qualifier));
        let clean = |qualifier: Option<&str>| Ok(("clean_1-a".to_owned(), qualifier.map(str::to_owned)));
        let arn = "arn:aws:lambda:eu-west-1:123456789012:function:clean_1-a";
        assert_eq!(read(arn), clean(None));
        assert_eq!(read(&format!("{arn}:$LATEST")), clean(Some("$LATEST")));
        assert_eq!(read(&format!("{arn}:7")), clean(Some("7")));
        assert_eq!(read("arn:aws-cn:lambda:cn-north-1:123456789012:function:clean_1-a:live"), clean(Some("live")));
        assert_eq!(read("clean_1-a"), clean(None));
        assert_eq!(read("clean_1-a:live"), clean(Some("live")));
    }

    #[test]
    fn anything_else_is_told_the_rule() {
        let long = "a".repeat(MOST_CHARS + 1);
        let others = [
            "",
            ":",
            "f:",
            "../f",
            "f/x",
            "f?x",
            "ü",
            &long,
            "arn:aws:lambda:r:1:function",
            "arn:aws:lambda:r:1:function:",
            "arn:aws:lambda:r:1:layer:f",
            "arn:aws:s3:::bucket",
            "arn:aws:lambda:r:1:function:f:1:2",
            "module.wasm",
        ];
        for text in others {
            let rule = text.parse::<Name>().expect_err(text);
            assert_eq!(rule, format!("{text:?} must be the ARN of a Lambda function, or its name"));
        }
    }
}
