use serde_json::json;

use super::*;

static NAME: Pattern = Pattern::new("[a-zA-Z0-9_.-]+");
static KEY: Pattern = Pattern::spelled(r"^(?!aws:)[\p{L}:]*$", r"[\p{L}:]*").not_starting("aws:");
const NAME_TEXT: Text = Text::length(1, 4).matching(&NAME);

fn read(value: &Value, check: impl FnOnce(&Structure<'_>, &mut Faults)) -> Faults {
    let mut faults = Faults::default();
    let structure = Structure::read(value, Path::root(), &mut faults).expect("an object");
    check(&structure, &mut faults);
    faults
}

fn message(faults: &Faults) -> String {
    faults.verdict().expect_err("a fault").to_string()
}

#[test]
fn a_document_that_is_no_structure_is_told_so_without_a_place() {
    let mut faults = Faults::default();
    assert!(Structure::read(&json!(null), Path::root(), &mut faults).is_none());
    assert_eq!(message(&faults), "NULL_VALUE can not be converted to a structure");
}

#[test]
fn one_fault_is_singular_and_several_are_joined() {
    let faults = read(&json!({}), |request, faults| {
        request.required_text("DeliveryStreamName", &NAME_TEXT, faults);
    });
    assert_eq!(
        message(&faults),
        "1 validation error detected: Value at 'deliveryStreamName' failed to satisfy constraint: Member must not be null"
    );
    let faults = read(&json!({"Name": "a b c", "S3": {"Size": 0}}), |request, faults| {
        request.text("Name", &NAME_TEXT, faults);
        let inner = request.structure("S3", faults).expect("a structure");
        inner.integer("Size", 1, 128, faults);
    });
    assert_eq!(
        message(&faults),
        "3 validation errors detected: Value 'a b c' at 'name' failed to satisfy constraint: Member must have length less \
         than or equal to 4; Value 'a b c' at 'name' failed to satisfy constraint: Member must satisfy regular expression \
         pattern: [a-zA-Z0-9_.-]+; Value '0' at 's3.size' failed to satisfy constraint: Member must have value greater than \
         or equal to 1"
    );
}

#[test]
fn a_null_member_counts_as_absent() {
    let faults = read(&json!({"A": null, "B": null}), |request, faults| {
        assert_eq!(request.text("A", &NAME_TEXT, faults), None);
        request.required("B", faults);
    });
    assert_eq!(faults.all().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), ["B"]);
}

#[test]
fn a_wrong_type_is_a_serialization_fault_and_wins() {
    let faults = read(&json!({"A": 7, "B": "x", "C": [], "D": "yes", "E": 1.5, "F": {}}), |request, faults| {
        request.required("Absent", faults);
        request.text("A", &NAME_TEXT, faults);
        request.integer("B", 0, 1, faults);
        request.structure("C", faults);
        request.boolean("D", faults);
        request.integer("E", 0, 9, faults);
        request.list("F", 0, 1, faults);
    });
    assert_eq!(
        faults.verdict(),
        Err(Refusal::Serialization("A: NUMBER_VALUE can not be converted to a String".into()))
    );
    assert_eq!(
        faults.all().map(|fault| format!("{}: {}", fault.field, fault.rule)).collect::<Vec<_>>(),
        [
            "A: NUMBER_VALUE can not be converted to a String",
            "B: STRING_VALUE can not be converted to an Integer",
            "C: a list can not be converted to a structure",
            "D: STRING_VALUE can not be converted to a Boolean",
            "E: NUMBER_VALUE can not be converted to an Integer",
            "F: a structure can not be converted to a list",
            "Absent: Member must not be null",
        ]
    );
}

#[test]
fn list_elements_are_counted_from_one_and_null_elements_named() {
    let faults = read(&json!({"Tags": [{"Key": "ok"}, null, {"Key": "aws:no"}]}), |request, faults| {
        for (path, tag) in request.list("Tags", 1, 2, faults) {
            let tag = Structure::read(tag, path, faults).expect("a structure");
            tag.required_text("Key", &Text::length(1, 128).matching(&KEY), faults);
        }
    });
    assert_eq!(
        message(&faults),
        "3 validation errors detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or \
         equal to 2; Value at 'tags.2.member' failed to satisfy constraint: Member must not be null; Value 'aws:no' at \
         'tags.3.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: \
         ^(?!aws:)[\\p{L}:]*$"
    );
    assert_eq!(faults.all().last().map(|fault| fault.field.as_str()), Some("Tags[2].Key"));
}

#[test]
fn values_are_hidden_where_the_path_says_so_and_when_long() {
    let mut faults = Faults::default();
    faults.broken(&Path::root().member("A").hiding_values(), &json!("secret"), "rule");
    faults.broken(&Path::root().member("B").hiding_values().member("C").showing_values(), &json!("seen"), "rule");
    faults.broken(&Path::root().member("D"), &json!("x".repeat(129)), "rule");
    assert_eq!(
        message(&faults),
        "3 validation errors detected: Value at 'a' failed to satisfy constraint: rule; Value 'seen' at 'b.c' failed to \
         satisfy constraint: rule; Value at 'd' failed to satisfy constraint: rule"
    );
}

#[test]
fn an_enum_names_its_set_in_its_own_order_and_case_matters() {
    let faults = read(&json!({"Mode": "snappy"}), |request, faults| {
        request.text("Mode", &Text::one_of(&["ZIP", "Snappy"]), faults);
    });
    assert!(message(&faults).ends_with("Member must satisfy enum value set: [ZIP, Snappy]"), "{}", message(&faults));
}

#[test]
fn an_unknown_member_is_noted_and_does_not_refuse() {
    let faults = read(&json!({"Known": 1, "Knwon": 2}), |request, faults| request.only(&["Known"], faults));
    assert_eq!(faults.verdict(), Ok(()));
    assert_eq!(faults.unknown().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), ["Knwon"]);
}

#[test]
fn a_number_past_every_range_is_out_of_range_not_of_the_wrong_type() {
    let faults = read(&json!({"Size": u64::MAX}), |request, faults| {
        request.integer("Size", 1, 128, faults);
    });
    assert!(message(&faults).ends_with("less than or equal to 128"), "{}", message(&faults));
}
