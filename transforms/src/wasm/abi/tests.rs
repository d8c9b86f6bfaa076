use super::*;

/// Id, verdict, data or message, keys.
type Part<'a> = (u32, u8, &'a [u8], &'a [(&'a str, &'a str)]);

fn answer(parts: &[Part<'_>]) -> Vec<u8> {
    let mut bytes = pair(1, u32::try_from(parts.len()).unwrap()).to_vec();
    for (id, verdict, data, keys) in parts {
        bytes.extend(id.to_le_bytes());
        bytes.extend([*verdict, 0]);
        bytes.extend(u16::try_from(keys.len()).unwrap().to_le_bytes());
        bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        bytes.extend(*data);
        for (name, value) in *keys {
            bytes.extend(pair(u32::try_from(name.len()).unwrap(), u32::try_from(value.len()).unwrap()));
            bytes.extend(name.bytes().chain(value.bytes()));
        }
    }
    bytes
}

#[test]
fn a_request_is_the_documented_bytes() {
    let inputs = [Input { arrival_ms: 0x0102_0304_0506_0708, data: b"ab" }, Input { arrival_ms: 9, data: b"" }];
    let mut bytes = vec![0; usize::try_from(request_bytes(&inputs).unwrap()).unwrap()];
    write_request(&inputs, &mut bytes).unwrap();
    let expected: &[u8] = &[
        1, 0, 0, 0, 2, 0, 0, 0, // version, records
        0, 0, 0, 0, 2, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, b'a', b'b', // id, length, arrival, data
        1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(bytes, expected);
    assert_eq!(write_request(&inputs, &mut bytes[..41]), None);
    let mut none = [0; 8];
    write_request(&[], &mut none).unwrap();
    assert_eq!(none, [1, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn an_answer_says_each_verdict() {
    let bytes = answer(&[
        (3, 3, b"why", &[]),
        (0, 0, b"new", &[("k", "v"), ("", "")]),
        (1, 1, b"", &[("k", "w")]),
        (2, 2, b"", &[]),
        (4, 3, b"", &[]),
        (5, 0, b"", &[]),
        (u32::MAX, 2, b"", &[]),
    ]);
    let judged: Vec<_> = read_answer(&bytes, 6).unwrap().judged().collect();
    assert_eq!(
        judged,
        [
            Ok(Verdict::Ok { data: b"new", keys: vec![("k", "v"), ("", "")] }),
            Ok(Verdict::Unchanged { keys: vec![("k", "w")] }),
            Ok(Verdict::Dropped),
            Err(crate::verdicts::Fault::Status(Some("why"))),
            Err(crate::verdicts::Fault::Status(None)),
            Ok(Verdict::Ok { data: b"", keys: vec![] }),
        ]
    );
}

#[test]
fn an_answer_cut_anywhere_or_with_more_behind_it_is_refused() {
    let mut bytes = answer(&[(0, 0, b"new", &[("key", "value")]), (1, 3, b"why", &[])]);
    assert!(read_answer(&bytes, 2).is_ok());
    for end in 0..bytes.len() {
        assert!(read_answer(&bytes[..end], 2).is_err(), "cut at {end}");
    }
    bytes.push(0);
    assert_eq!(read_answer(&bytes, 2).unwrap_err(), "1 bytes follow the last of 2 answers");
}

#[test]
fn each_fault_of_an_answer_is_named() {
    let fault = |bytes: &[u8]| read_answer(bytes, 1).unwrap_err();
    let one = |verdict, data: &[u8], keys: &[(&str, &str)]| fault(&answer(&[(0, verdict, data, keys)]));
    assert_eq!(fault(b"1234567"), "the answer has 7 bytes, fewer than its header of 8");
    assert_eq!(fault(&pair(2, 0)), "the answer's version is 2, not 1");
    assert_eq!(fault(&pair(1, u32::MAX)), "answer 0 of 4294967295: the bytes end inside it");
    assert_eq!(one(4, b"", &[]), "answer 0 of 1: its verdict is 4, not one of 0 to 3");
    assert_eq!(one(1, b"x", &[]), "answer 0 of 1: it has data, which verdict 1 does not take");
    assert_eq!(one(2, b"x", &[]), "answer 0 of 1: it has data, which verdict 2 does not take");
    assert_eq!(one(2, b"", &[("k", "v")]), "answer 0 of 1: it has partition keys, which verdict 2 does not take");
    assert_eq!(one(3, b"", &[("k", "v")]), "answer 0 of 1: it has partition keys, which verdict 3 does not take");
    assert_eq!(one(3, b"\xFF", &[]), "answer 0 of 1: its message is not UTF-8");
    let mut bytes = answer(&[(0, 0, b"", &[("key", "value")])]);
    *bytes.last_mut().unwrap() = 0xFF;
    assert_eq!(fault(&bytes), "answer 0 of 1: the text of its partition key 0 is not UTF-8");
    bytes.pop();
    assert_eq!(fault(&bytes), "answer 0 of 1: the bytes end inside its partition key 0");
    bytes[13] = 7;
    assert_eq!(fault(&bytes), "answer 0 of 1: the byte behind its verdict is 7, not 0");
}

#[test]
fn a_call_takes_what_fits_and_never_nothing() {
    let inputs = [10, 10, 100, 0, 0].map(|bytes| Input { arrival_ms: 0, data: &[0; 100][..bytes] });
    assert_eq!(Input::fitting(&inputs, 52), 2);
    assert_eq!(Input::fitting(&inputs, 51), 1);
    assert_eq!(Input::fitting(&inputs, 0), 1);
    assert_eq!(Input::fitting(&inputs[2..], 10), 1);
    assert_eq!(Input::fitting(&inputs, usize::MAX), 5);
    assert_eq!(Input::fitting(&[], 10), 0);
}

#[test]
fn the_example_of_the_specification_is_right() {
    let (_, example) = include_str!("../../../../docs/modules.md").split_once("### An example, byte by byte").unwrap();
    let mut blocks = example.split("```text\n").skip(1).map(|block| {
        let (bytes, _) = block.split_once("```").unwrap();
        bytes.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect::<Vec<_>>()
    });
    let inputs = [(1_785_000_000_000, &b"ab"[..]), (1_785_000_000_001, b"")]
        .map(|(arrival_ms, data)| Input { arrival_ms, data });
    let mut request = vec![0; usize::try_from(request_bytes(&inputs).unwrap()).unwrap()];
    write_request(&inputs, &mut request).unwrap();
    assert_eq!(blocks.next().unwrap(), request);
    let answer = blocks.next().unwrap();
    let judged: Vec<_> = read_answer(&answer, 2).unwrap().judged().collect();
    assert_eq!(judged, [Ok(Verdict::Ok { data: b"AB", keys: vec![("k", "v")] }), Ok(Verdict::Dropped)]);
}
