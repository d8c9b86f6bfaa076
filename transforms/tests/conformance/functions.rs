//! The two ways to be a `Lambda` processor, as the service puts them into a stream: a module, and a function behind an endpoint.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use hydrant_transforms::lambda::{Caller, Function, InvokeError, InvokeErrorKind, ask};
use hydrant_transforms::processors::{LambdaParameters, Transform};
use hydrant_transforms::records::{Arrived, Fates, Records};
use hydrant_transforms::wasm::{Engine, Limits, Module, Pool, Start, WasmTransform};
use serde_json::{Value, json};

use crate::guests::{ECHO, TRAP, UNCHANGED, judging};

/// Every function that is tried. Each is asked in calls of little, so that records are many calls.
pub(crate) const FUNCTIONS: &[&str] = &["echo", "unchanged", "sorting", "trapping", "silent", "clicks", "endpoint"];

pub(crate) fn build(name: &str) -> Box<dyn Transform> {
    if name == "endpoint" {
        return Box::new(Endpoint);
    }
    let (engine, loaded) = &*MODULES;
    let mut loaded = loaded.lock().unwrap();
    let load = || Module::load(engine, &module(name), Limits::default()).unwrap();
    let module = loaded.entry(name.to_owned()).or_insert_with(load).clone();
    Box::new(InModule(WasmTransform::new(Pool::new(module, Start::default()), CALL_BYTES, 3)))
}

fn module(name: &str) -> Vec<u8> {
    let verdict = |number: u8| format!("(call $say (local.get $id) (i32.const {number}) (i32.const 0) (i32.const 0))");
    let first = |byte: u8, then: &str, otherwise: &str| {
        // An empty record has no first byte, and behind it lies another one's.
        let is = format!(
            "(i32.and (i32.gt_u (local.get $length) (i32.const 0)) (i32.eq (i32.load8_u (local.get $data)) (i32.const {byte})))"
        );
        format!("(if {is} (then {then}) (else {otherwise}))")
    };
    match name {
        "echo" => judging(ECHO),
        "unchanged" => judging(UNCHANGED),
        "sorting" => judging(&first(b'-', &verdict(2), &first(b'?', &verdict(3), ECHO))),
        "trapping" => judging(&first(b'!', TRAP, ECHO)),
        "silent" => judging(&first(b'!', "", ECHO)),
        "clicks" => {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest/prebuilt/clicks.wasm");
            std::fs::read(file).unwrap()
        }
        other => panic!("{other} is no function"),
    }
}

struct InModule(WasmTransform);

impl Transform for InModule {
    fn apply(&mut self, records: Records, arrived: &Arrived, fates: &mut Fates) -> Records {
        self.0.apply(records, arrived, fates)
    }
}

/// Judges as the module `sorting` does, gives keys, and has no answer for a call with a record that begins with `!`.
struct Endpoint;

impl Transform for Endpoint {
    fn apply(&mut self, records: Records, arrived: &Arrived, fates: &mut Fates) -> Records {
        let parameters = LambdaParameters {
            arn: "arn:aws:lambda:us-east-1:1:function:f".to_owned(),
            retries: 1,
            // A call that is not answered fails all its records, so each has one of its own.
            buffer_bytes: 1,
            interval: Duration::ZERO,
            role: None,
        };
        let caller =
            Caller { stream_arn: "arn:aws:firehose:us-east-1:1:deliverystream/s".to_owned(), region: "r".to_owned() };
        let asked = ask(&Endpoint, &parameters, &caller, records, arrived, fates);
        asked.now_or_never().expect("nothing to wait for")
    }
}

#[async_trait]
impl Function for Endpoint {
    async fn invoke(&self, event: Bytes) -> Result<Bytes, InvokeError> {
        let event: Value = serde_json::from_slice(&event).unwrap();
        let mut answers = Vec::new();
        for record in event["records"].as_array().unwrap() {
            let data = base64_simd::STANDARD.decode_to_vec(record["data"].as_str().unwrap()).unwrap();
            let result = match data.first() {
                Some(b'!') => return Err(InvokeError { kind: InvokeErrorKind::Function, message: String::new() }),
                Some(b'-') => "Dropped",
                Some(b'?') => "ProcessingFailed",
                _ => "Ok",
            };
            answers.push(json!({
                "recordId": record["recordId"], "result": result, "data": record["data"],
                "metadata": {"partitionKeys": {"country": data.len().to_string()}},
            }));
        }
        Ok(json!({ "records": answers }).to_string().into())
    }

    async fn back_off(&self, _failed: u32) {}
}

const CALL_BYTES: usize = 200;

/// Modules that are compiled.
static MODULES: LazyLock<(Engine, Mutex<HashMap<String, Module>>)> =
    LazyLock::new(|| (Engine::new(None).unwrap(), Mutex::default()));
