//! What `hydrant check` asks for: the rules, and whether destinations can be reached.

use hydrant_model::Rules;

use super::destinations::Objects;
use crate::catalog::{FileFault, Plan, Rulebook, StreamFile};
use crate::delivery::Destinations;
use crate::settings::Settings;

/// The rules that `settings` hold stream files to.
pub fn rulebook(settings: &Settings) -> Rulebook {
    Rulebook { sinks: hydrant_sinks::SPECS, rules: if settings.strict { Rules::Strict } else { Rules::Wide } }
}

/// Asks the destination of every file whether it can be reached, without writing to it; each that cannot is a fault.
pub async fn reach(settings: &Settings, files: &[StreamFile]) -> Vec<FileFault> {
    let mut faults = Vec::new();
    let rulebook = rulebook(settings);
    let destinations = match Objects::open(settings).await {
        Ok(destinations) => destinations,
        Err(error) => {
            let fault = FileFault { file: settings.data.clone(), field: None, rule: error.to_string() };
            return vec![fault];
        }
    };
    for file in files {
        let fault =
            |rule| FileFault { file: file.path.clone(), field: Some(file.definition.destination.member.clone()), rule };
        match Plan::new(&file.definition, 1, &rulebook) {
            Ok(plan) => {
                if let Err(error) = destinations.sink(&plan).probe().await {
                    faults.push(fault(error.to_string()));
                }
            }
            Err(rule) => faults.push(fault(rule)),
        }
    }
    faults
}
