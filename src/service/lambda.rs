//! The functions that streams ask: modules of the modules directory, and those behind a Lambda endpoint.
//!
//! A module stands in for the function of its name; what has no module is invoked at `--lambda-endpoint`, where there is one.

use std::sync::Arc;

use async_trait::async_trait;
use hydrant_transforms::lambda::{Caller, ask};
use hydrant_transforms::processors::LambdaParameters;
use hydrant_transforms::records::{Arrived, Fates, Records};

use super::functions::{Functions, Remote};
use super::modules::Modules;
use crate::catalog::{Place, Plan, Processor, Remote as Elsewhere, Stage};

/// Every function that there is.
pub(super) struct Lambdas {
    pub(super) modules: Modules,
    pub(super) endpoint: Option<Functions>,
    pub(super) place: Place,
}

impl Lambdas {
    /// Connects the function that `plan` asks for `stream`, if it asks one.
    pub(super) fn connect(self: &Arc<Self>, plan: &mut Plan, stream: &str) {
        let Some((_, parameters)) = plan.processing.function.clone() else { return };
        let caller = Caller { stream_arn: self.place.stream_arn(stream), region: self.place.region.clone() };
        plan.processing.connect(Arc::new(FunctionStage { lambdas: Arc::clone(self), parameters, caller }));
    }

    /// Whether the function that `plan` asks can be asked, as far as that is known without asking it. Compiles a module: not for a
    /// runtime's own thread.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(&self, plan: &Plan) -> Result<(), String> {
        let Some((_, parameters)) = &plan.processing.function else { return Ok(()) };
        match self.remote(&parameters.arn)? {
            Some(_) => Ok(()),
            None => self.modules.check(&parameters.arn),
        }
    }

    /// The function behind the endpoint that `arn` names; `None` where a module stands in for it, or there is no endpoint.
    fn remote(&self, arn: &str) -> Result<Option<Remote>, String> {
        match &self.endpoint {
            Some(endpoint) if !self.modules.has(arn) => endpoint.function(arn).map(Some),
            _ => Ok(None),
        }
    }
}

/// Makes the processor that asks a function.
struct FunctionStage {
    lambdas: Arc<Lambdas>,
    parameters: LambdaParameters,
    caller: Caller,
}

impl Stage for FunctionStage {
    fn name(&self) -> &'static str {
        "Lambda"
    }

    fn open(&self) -> Result<Processor, String> {
        let Some(remote) = self.lambdas.remote(&self.parameters.arn)? else {
            return self.lambdas.modules.transform(&self.parameters).map(Processor::Local);
        };
        let (parameters, caller) = (self.parameters.clone(), self.caller.clone());
        Ok(Processor::Remote(Box::new(Asked { remote, parameters, caller })))
    }

    fn memory_bytes(&self) -> usize {
        self.lambdas.modules.memory_bytes(&self.parameters.arn)
    }
}

/// A function behind the endpoint, at work.
struct Asked {
    remote: Remote,
    parameters: LambdaParameters,
    caller: Caller,
}

#[async_trait]
impl Elsewhere for Asked {
    async fn apply(&mut self, records: Records, arrived: &Arrived, fates: &mut Fates) -> Records {
        ask(&self.remote, &self.parameters, &self.caller, records, arrived, fates).await
    }
}
