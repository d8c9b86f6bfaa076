//! The knobs of the service as command-line options, made from their table.

use clap::error::Error;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::settings::{Default, Flags, KNOBS, Knob};

/// What the command line says of the settings. Values are read with those of the other sources, so that every fault is told at
/// once and in the same words.
#[derive(Debug)]
pub(super) struct SettingFlags(pub(super) Flags);

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        KNOBS.iter().fold(command, |command, knob| command.arg(option(knob)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |knob: &&'static Knob| Some((knob.key, matches.get_one::<String>(knob.key)?.clone()));
        Ok(Self(Flags(KNOBS.iter().filter_map(given).collect())))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn option(knob: &'static Knob) -> Arg {
    let help = format!("{} [env: {}]", knob.help, knob.variable());
    let option = Arg::new(knob.key).long(knob.flag()).help_heading(knob.group);
    let Some(value) = knob.value else {
        // `--strict=false` takes back what a variable or a file says.
        return option
            .value_name("true|false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .help(help);
    };
    let option = option.value_name(value);
    match knob.default {
        Default::Value(default) | Default::Follows(default) => option.help(format!("{help} [default: {default}]")),
        Default::Nothing => option.help(help),
    }
}
