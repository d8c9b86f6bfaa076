//! `hydrant check`: settings, stream files and transform modules, before the service sees them.

mod transform;

use std::path::PathBuf;

use clap::Args;

use super::flags::SettingFlags;
use super::show::counted;
use super::{Context, Error};
use crate::catalog::{FileFault, Folder, Rulebook, StreamFile};
use crate::service;
use crate::settings::Settings;

/// Check settings and stream files: valid, or every fault with file, field and rule
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// Stream files; without any, those of the folder that --streams names
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Ask every destination whether it can be reached, without writing to it, and look up every table
    #[arg(long)]
    reach: bool,
    /// Instead, run this transform module over the records of --records: show the fate of each, and whether it is the same
    /// when the module is asked in other ways
    #[arg(long, value_name = "MODULE", requires = "records", conflicts_with_all = ["files", "reach"])]
    transform: Option<PathBuf>,
    /// Records for --transform, each line one
    #[arg(long, value_name = "FILE", requires = "transform")]
    records: Option<PathBuf>,
    #[command(flatten)]
    flags: SettingFlags,
}

impl Check {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        if let (Some(module), Some(records)) = (&self.transform, &self.records) {
            return transform::run(module, records, context).await;
        }
        let (settings, in_settings) = Settings::inspect(&self.flags.0, context.environment);
        for fault in &in_settings {
            context.out.line(fault)?;
        }
        let are_valid = in_settings.is_empty();
        if are_valid {
            context.out.line("settings: valid")?;
        }
        let folder = read(&self.files, &settings);
        for file in &folder.files {
            context.out.line(format_args!("{}: valid: {}", file.path.display(), file.definition.name))?;
        }
        let mut faults = folder.faults;
        if self.reach && are_valid {
            faults.extend(service::reach(&settings, &folder.files).await);
        } else if self.reach {
            context.out.note("destinations were not asked: which they are, valid settings say")?;
        }
        for fault in &faults {
            context.out.line(fault)?;
        }
        match (in_settings.len() + faults.len()) as u64 {
            0 => Ok(()),
            some => Err(Error::Failed(format!("{} found", counted(some, "fault")))),
        }
    }
}

/// The stream files that are meant: `files`, or those of the settings' folder.
fn read(files: &[PathBuf], settings: &Settings) -> Folder {
    let rulebook: Rulebook = service::rulebook(settings);
    if files.is_empty() {
        return settings.streams.as_deref().map_or_else(Folder::default, |dir| Folder::read(dir, &rulebook));
    }
    let mut folder = Folder::default();
    for path in files {
        match StreamFile::read(path, &rulebook) {
            Ok(file) => match twice(&folder, &file) {
                Some(fault) => folder.faults.push(fault),
                None => folder.files.push(file),
            },
            Err(faults) => folder.faults.extend(faults),
        }
    }
    folder
}

/// A fault where another file defines the same stream.
fn twice(folder: &Folder, file: &StreamFile) -> Option<FileFault> {
    let name = &file.definition.name;
    let earlier = folder.files.iter().find(|earlier| earlier.definition.name == *name)?;
    let rule = format!("{name} is defined in {} too", earlier.path.display());
    Some(FileFault { file: file.path.clone(), field: Some("DeliveryStreamName".to_owned()), rule })
}

const EXAMPLES: &str = "\
The options are those of `hydrant serve`, with their variables and settings file.

Examples:
  hydrant check clicks.yaml
  hydrant check --config /etc/hydrant.toml
  hydrant check --streams streams --s3-endpoint http://minio:9000 --reach
  hydrant check --transform enrich.wasm --records clicks.jsonl

Exit codes: 0 everything is valid; 1 faults were found, or a record failed in a module or had two fates.";
