//! `counterfoil doctor`: prints the findings, exits with 1 if one of them is a failure.

use serde_json::json;

use super::failure::Failure;
use super::local::{HERE, LocalArgs};
use super::print;
use crate::config::load;
use crate::doctor::{Finding, Health, examine};

/// Look at configuration, clock, certificates, store and keys: what is wrong and what to do
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    local: LocalArgs,
    /// Also read the whole database for damage; takes long on a large one
    #[arg(long)]
    deep: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let findings = match args.local.sources().map(|sources| load(&sources)) {
        Ok(Ok(config)) => {
            let mut findings = vec![Finding::ok("configuration", "right")];
            findings.extend(examine(&config, args.deep).await);
            findings
        }
        Ok(Err(error)) => wrong(&error.faults),
        Err(failure) => wrong(&[failure.to_string()]),
    };
    if args.json {
        print::json(&json!({ "findings": findings }));
    } else {
        let rows = findings.iter().map(|finding| {
            let status = match finding.status {
                Health::Ok => "ok",
                Health::Warn => "warn",
                Health::Fail => "FAIL",
            };
            let found = print::clean(&finding.found);
            vec![status.into(), finding.check.into(), found, finding.advice.clone()]
        });
        print::rows(&["STATUS", "CHECK", "FOUND", "WHAT TO DO"], rows);
    }
    let failed = findings.iter().filter(|finding| finding.status == Health::Fail).count();
    match failed {
        0 => Ok(()),
        1 => Err(Failure::Refused("1 check failed".into())),
        more => Err(Failure::Refused(format!("{more} checks failed"))),
    }
}

fn wrong(faults: &[String]) -> Vec<Finding> {
    let advice = "`counterfoil config default` shows every key";
    faults.iter().map(|fault| Finding::fail("configuration", fault.clone(), advice)).collect()
}
