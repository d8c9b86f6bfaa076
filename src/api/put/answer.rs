//! Answers of the two put operations, written straight into the buffer that is sent.
//!
//! The order of members is the one seen from the service.

use super::record_id::RecordIds;

/// Writes the answer to a PutRecord whose record got the first of `ids`.
pub fn write_accepted_record(out: &mut Vec<u8>, ids: &mut RecordIds) {
    out.extend_from_slice(b"{\"RecordId\":\"");
    ids.write_next(out);
    out.extend_from_slice(b"\",\"Encrypted\":false}");
}

/// Writes the answer to a PutRecordBatch whose `count` records were accepted under the next of `ids`.
pub fn write_accepted_batch(out: &mut Vec<u8>, ids: &mut RecordIds, count: usize) {
    const ENTRY: usize = ACCEPTED_OPEN.len() + RecordIds::TEXT_LENGTH + ACCEPTED_CLOSE.len() + 1;
    out.reserve(BATCH_ACCEPTED.len() + count * ENTRY + BATCH_END.len());
    out.extend_from_slice(BATCH_ACCEPTED);
    for index in 0..count {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(ACCEPTED_OPEN);
        ids.write_next(out);
        out.extend_from_slice(ACCEPTED_CLOSE);
    }
    out.extend_from_slice(BATCH_END);
}

/// Writes the answer to a PutRecordBatch of which nothing was accepted: status 200, and every entry asks to slow down.
pub fn write_refused_batch(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(b"{\"Encrypted\":false,\"FailedPutCount\":");
    out.extend_from_slice(count.to_string().as_bytes());
    out.extend_from_slice(b",\"RequestResponses\":[");
    for index in 0..count {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(REFUSED);
    }
    out.extend_from_slice(BATCH_END);
}

const BATCH_ACCEPTED: &[u8] = b"{\"Encrypted\":false,\"FailedPutCount\":0,\"RequestResponses\":[";
const ACCEPTED_OPEN: &[u8] = b"{\"RecordId\":\"";
const ACCEPTED_CLOSE: &[u8] = b"\"}";
const REFUSED: &[u8] = b"{\"ErrorCode\":\"ServiceUnavailableException\",\"ErrorMessage\":\"Slow down.\"}";
const BATCH_END: &[u8] = b"]}";

#[cfg(test)]
mod tests;
