//! What `hydrant check` asks for: the rules, and whether destinations can be reached.

use std::path::PathBuf;

use hydrant_model::{Cursor, Rules};

use super::Error;
use super::destinations::Objects;
use super::tables::Tables;
use crate::catalog::{FileFault, Plan, Rulebook, StreamFile};
use crate::clock::Clock;
use crate::delivery::Destinations;
use crate::settings::{S3Choice, Settings};

/// The rules that `settings` hold stream files to.
pub fn rulebook(settings: &Settings) -> Rulebook {
    let takes_key = if settings.s3 == S3Choice::Dir { hydrant_sinks::file::takes } else { |_: &str| Ok(()) };
    let rules = if settings.strict { Rules::Strict } else { Rules::Wide };
    Rulebook { sinks: hydrant_sinks::SPECS, rules, takes_key }
}

/// Asks the destination of every file whether it can be reached, without writing to it, and looks up its table; each that cannot
/// be had is a fault.
pub async fn reach(settings: &Settings, files: &[StreamFile]) -> Vec<FileFault> {
    let mut faults = Vec::new();
    let rulebook = rulebook(settings);
    let places = match Places::open(settings).await {
        Ok(places) => places,
        Err(error) => {
            let fault = FileFault { file: settings.data.clone(), field: None, rule: error.to_string() };
            return vec![fault];
        }
    };
    let tables = match Tables::open(settings, Clock::system()).await {
        Ok(tables) => tables,
        Err(error) => {
            let fault = FileFault { file: settings.schemas.clone(), field: None, rule: error.to_string() };
            return vec![fault];
        }
    };
    for file in files {
        let member = &file.definition.destination.member;
        let fault = |field: String, rule| FileFault { file: file.path.clone(), field: Some(field), rule };
        let plan = match Plan::new(&file.definition, 1, &rulebook) {
            Ok(plan) => plan,
            Err(rule) => {
                faults.push(fault(member.clone(), rule));
                continue;
            }
        };
        faults.extend(places.reach(&plan).await.err().map(|rule| fault(member.clone(), rule)));
        let table = tables.check(&plan).await.err();
        faults.extend(table.map(|error| fault(format!("{member}.{CONVERSION}"), error.to_string())));
    }
    faults
}

/// Where objects would go. The embedded directory is not opened: that is the service's, which may be at work in it.
enum Places {
    Directory(PathBuf),
    Servers { destinations: Box<Objects>, create_buckets: bool },
}

impl Places {
    async fn open(settings: &Settings) -> Result<Self, Error> {
        if settings.s3 == S3Choice::Dir {
            return Ok(Self::Directory(settings.data.join(OBJECTS)));
        }
        Ok(Self::Servers {
            destinations: Box::new(Objects::open(settings).await?),
            create_buckets: settings.create_buckets,
        })
    }

    async fn reach(&self, plan: &Plan) -> Result<(), String> {
        self.reach_bucket(plan, Cursor::Main).await?;
        match plan.backup {
            Some(_) => self.reach_bucket(plan, Cursor::Backup).await,
            None => Ok(()),
        }
    }

    async fn reach_bucket(&self, plan: &Plan, cursor: Cursor) -> Result<(), String> {
        match self {
            Self::Directory(root) => {
                let (root, bucket) = (root.clone(), plan.objects(cursor).bucket.clone());
                let reached = tokio::task::spawn_blocking(move || hydrant_sinks::file::reach(&root, &bucket)).await;
                reached.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
            }
            Self::Servers { destinations, create_buckets } => {
                let sink = destinations.sink(plan, cursor);
                match sink.probe().await {
                    // Where buckets are made, the first delivery does it.
                    Err(error) if NO_BUCKET.contains(&error.code.as_str()) => {
                        let rule =
                            || format!("{sink}: there is no such bucket: make it, or let --create-buckets do so");
                        create_buckets.then_some(()).ok_or_else(rule)
                    }
                    probed => probed.map_err(|error| format!("{sink}: {error}")),
                }
            }
        }
    }
}

const CONVERSION: &str = "DataFormatConversionConfiguration";
/// Below the data directory.
const OBJECTS: &str = "objects";
/// The second is what an answer to HEAD, which has no body, becomes.
const NO_BUCKET: [&str; 2] = ["S3.NoSuchBucket", "S3.NotFound"];
