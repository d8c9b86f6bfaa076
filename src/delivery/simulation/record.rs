//! Records that say who they are: `#<id> <length>\n`, then as many bytes of anything.

/// Number of a record, unique in a history; zero is none.
pub(super) type Id = u64;

/// Whether no stage takes the record, where there are stages.
pub(super) fn is_poison(id: Id) -> bool {
    id % 1_000_000 >= POISON
}

/// Ids from here on, below the next million, are those of poison.
pub(super) const POISON: Id = 900_000;

/// The record `id`, followed by `filler`.
pub(super) fn make(id: Id, filler: &[u8]) -> Vec<u8> {
    let mut record = format!("#{id} {}\n", filler.len()).into_bytes();
    record.extend_from_slice(filler);
    record
}

/// The records of an error object's entries, in order. One may have two only where `twice`.
pub(super) fn parse_entries(object: &[u8], twice: bool) -> Result<Vec<Id>, String> {
    let mut ids = Vec::new();
    for line in object.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let entry: serde_json::Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let raw = entry["rawData"].as_str().ok_or("an entry without its record")?;
        let raw = base64_simd::STANDARD.decode_to_vec(raw).map_err(|error| error.to_string())?;
        for id in parse(&raw)? {
            if ids.contains(&id) && !twice {
                return Err(format!("the entry of record {id} is there twice"));
            }
            ids.push(id);
        }
    }
    Ok(ids)
}

/// The records of an object, in order.
pub(super) fn parse(mut object: &[u8]) -> Result<Vec<Id>, String> {
    let mut ids = Vec::new();
    while !object.is_empty() {
        let end = object.iter().take(40).position(|byte| *byte == b'\n').ok_or("a record without its head")?;
        let (head, rest) = object.split_at(end + 1);
        let head = std::str::from_utf8(head).map_err(|error| error.to_string())?;
        let numbers =
            head.strip_prefix('#').and_then(|head| head.trim_end().split_once(' ')).ok_or("a head of another kind")?;
        let id = numbers.0.parse().map_err(|_| "an id that is no number")?;
        let length: usize = numbers.1.parse().map_err(|_| "a length that is no number")?;
        object = rest.get(length..).ok_or("a record that is cut off")?;
        if ids.contains(&id) {
            return Err(format!("record {id} is there twice"));
        }
        ids.push(id);
    }
    Ok(ids)
}
