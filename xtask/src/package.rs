//! `cargo xtask package`: the Debian package, made and tried in a clean system.
//!
//! The system is a root of this machine's own release, made by debootstrap: a binary wants the C
//! library that it was built with or a later one. What runs there is started as the unit would start
//! it, as its own account and without a terminal, only not by systemd.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::clock::Deadline;
use crate::command::{self, Show};
use crate::host::{self, DEBOOTSTRAP};
use crate::http::request;
use crate::report::{Outcome, Tally};
use crate::server::{Server, free_address};
use crate::suite;
use crate::workspace::{cargo, root, stdout_of, target_dir};

const HELP: &str = "\
cargo xtask package [--debug] [--no-try]

  makes target/package/counterfoil_VERSION_ARCH.deb from a release build and tries it in a root of
  this machine's Debian release (as root, by debootstrap)

  --debug   from the binary that tests run: to try the package, not to give it to anybody
  --no-try  make it only";

/// The version of cargo-deb that makes it.
const CARGO_DEB: &str = "3.6.2";
/// Where the server keeps everything.
const DATA: &str = "var/lib/counterfoil";
/// The account that it runs under.
const ACCOUNT: &str = "counterfoil";

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wish {
    debug: bool,
    tried: bool,
}

impl Wish {
    fn parse(arguments: &[String]) -> Option<Self> {
        let mut wish = Self { debug: false, tried: true };
        for argument in arguments {
            match argument.as_str() {
                "--debug" => wish.debug = true,
                "--no-try" => wish.tried = false,
                _ => return None,
            }
        }
        Some(wish)
    }
}

/// `cargo xtask package [--debug] [--no-try]`.
pub(crate) fn package(arguments: &[String]) -> Result<ExitCode> {
    let Some(wish) = Wish::parse(arguments) else {
        println!("{HELP}");
        return Ok(ExitCode::from(crate::EXIT_USAGE));
    };
    let deb = make(wish.debug, Deadline::NEVER)?;
    println!("made {}", deb.display());
    if wish.tried {
        try_out(&deb, Deadline::NEVER)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The package of a release build, tried, as one step of a long run.
///
/// # Errors
///
/// Fails when it cannot be made, or does not do what it says.
pub(crate) fn proof(deadline: Deadline) -> Result<Outcome> {
    if host::provide(&[&DEBOOTSTRAP]).contains(&&DEBOOTSTRAP) {
        return Ok(Outcome::LeftOut("debootstrap is missing".to_owned()));
    }
    try_out(&make(false, deadline)?, deadline)?;
    Ok(Outcome::Passed(Tally::PASSED))
}

fn checked(what: &str, command: &mut Command, deadline: Deadline) -> Result<String> {
    let ran = command::run(command, deadline, Show::OnFailure)?;
    ensure!(ran.ok(), "{what}: {}", ran.fault());
    Ok(ran.output)
}

/// Makes the package and returns its path.
fn make(debug: bool, deadline: Deadline) -> Result<PathBuf> {
    let binary = if debug { suite::debug_binary(deadline)? } else { release_binary(deadline)? };
    // Named in crates/server/Cargo.toml, and so below the tree whatever directory cargo builds in.
    let home = root().join("target/package");
    let stage = home.join("stage");
    if stage.exists() {
        std::fs::remove_dir_all(&stage)?;
    }
    std::fs::create_dir_all(stage.join("man"))?;
    std::fs::create_dir_all(stage.join("completions"))?;
    let staged = stage.join("counterfoil");
    std::fs::copy(&binary, &staged)?;
    checked("strip", Command::new("strip").arg("--strip-debug").arg(&staged), deadline)?;
    let own = || Command::new(&staged);
    std::fs::write(
        stage.join("counterfoil.toml"),
        stdout_of(own().args(["config", "default"]))? + "\n",
    )?;
    checked("man", own().args(["man", "--dir"]).arg(stage.join("man")), deadline)?;
    for (shell, name) in
        [("bash", "counterfoil"), ("zsh", "_counterfoil"), ("fish", "counterfoil.fish")]
    {
        let script = stdout_of(own().args(["completions", shell]))? + "\n";
        std::fs::write(stage.join("completions").join(name), script)?;
    }
    let mut deb = Command::new(cargo_deb(deadline)?);
    deb.current_dir(root()).args(["--no-build", "--no-strip", "-p", "counterfoil-server"]);
    deb.arg("--output").arg(&home);
    if debug {
        // Nobody downloads it.
        deb.arg("--fast");
    }
    let told = checked("cargo-deb", &mut deb, deadline)?;
    let is_package = |line: &str| Path::new(line).extension().is_some_and(|end| end == "deb");
    let path = told.lines().rev().find(|line| is_package(line.trim()));
    // Absolute, or below the tree.
    Ok(root().join(path.context("cargo-deb names no package")?.trim()))
}

fn release_binary(deadline: Deadline) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--release", "--locked", "--bin", "counterfoil"]);
    checked("the release build", &mut build, deadline)?;
    Ok(target_dir().join("release/counterfoil"))
}

/// cargo-deb: installed, or built into the build directory.
fn cargo_deb(deadline: Deadline) -> Result<PathBuf> {
    if host::on_path("cargo-deb") {
        return Ok("cargo-deb".into());
    }
    let home = target_dir().join("xtask-cargo-deb");
    let program = home.join("bin/cargo-deb");
    if program.exists() {
        return Ok(program);
    }
    println!("building cargo-deb {CARGO_DEB}");
    let mut install = cargo();
    install.args(["install", "cargo-deb", "--version", CARGO_DEB, "--locked", "--debug"]);
    install.arg("--root").arg(&home).arg("--target-dir").arg(home.join("build"));
    checked("cargo-deb", &mut install, deadline)?;
    Ok(program)
}

/// A system of its own, below a directory.
struct Clean(PathBuf);

impl Clean {
    /// Of this machine's release, with nothing but what every Debian system has.
    fn make(deadline: Deadline) -> Result<Self> {
        let release = stdout_of(
            Command::new("sh").args(["-c", ". /etc/os-release && echo \"$VERSION_CODENAME\""]),
        )?;
        println!("a root of {release}, the release of this machine");
        let home = root().join("target/package");
        let (base, own) = (home.join(format!("base-{release}")), home.join("root"));
        if !base.join("usr/bin/apt-get").exists() {
            let mut make = Command::new("debootstrap");
            make.args(["--variant=minbase", &release]).arg(&base);
            checked("debootstrap", &mut make, deadline)?;
        }
        if own.exists() {
            std::fs::remove_dir_all(&own)?;
        }
        checked("copy", Command::new("cp").arg("-a").arg(&base).arg(&own), deadline)?;
        Ok(Self(own))
    }

    /// A command inside, with nothing of this shell in its environment.
    fn command(&self, account: Option<&str>, arguments: &[&str]) -> Command {
        let mut inside = Command::new("chroot");
        inside.env_clear().stdin(Stdio::null());
        inside.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        inside.env("DEBIAN_FRONTEND", "noninteractive");
        inside.args(account.map(|account| format!("--userspec={account}:{account}")));
        inside.arg(&self.0).args(arguments);
        inside
    }

    fn run(&self, arguments: &[&str], deadline: Deadline) -> Result<String> {
        checked(&arguments.join(" "), &mut self.command(None, arguments), deadline)
    }

    /// Every file of the data directory with its bytes.
    fn data(&self) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.0.join(DATA)];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
                let path = entry?.path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let bytes = std::fs::read(&path)?;
                    found.insert(path, bytes);
                }
            }
        }
        Ok(found)
    }

    /// What the unit starts.
    fn exec_start(&self) -> Result<Vec<String>> {
        let unit = self.0.join("usr/lib/systemd/system/counterfoil.service");
        let unit = std::fs::read_to_string(unit)?;
        let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart="));
        let line = line.context("the unit starts nothing")?;
        Ok(line.split(' ').map(str::to_owned).collect())
    }

    /// Starts it as its own account, on a free address.
    fn serve(&self) -> Result<Server> {
        let (address, ldap) = (free_address()?, free_address()?);
        let exec = self.exec_start()?;
        let exec: Vec<&str> = exec.iter().map(String::as_str).collect();
        let mut command = self.command(Some(ACCOUNT), &exec);
        command.env("COUNTERFOIL_SERVER__LISTEN", address.to_string());
        command.env("COUNTERFOIL_LDAP__LISTEN", ldap.to_string());
        let log = root().join("target/package/serve.log");
        Server::start(command, address, "/healthz/ready", &log)
    }
}

/// Installs, serves, removes, purges, and installs again.
fn try_out(deb: &Path, deadline: Deadline) -> Result<()> {
    let clean = Clean::make(deadline)?;
    std::fs::copy(deb, clean.0.join("tmp/counterfoil.deb"))?;
    clean.run(&["dpkg", "--install", "/tmp/counterfoil.deb"], deadline)?;
    println!("installed: {}", clean.run(&["counterfoil", "--version"], deadline)?.trim());
    clean.run(&["getent", "passwd", ACCOUNT], deadline)?;
    let data = format!("/{DATA}");
    let rights = clean.run(&["stat", "-c", "%U:%G %a", &data], deadline)?;
    ensure!(rights.trim() == "counterfoil:counterfoil 700", "{DATA} is {rights}");
    for (file, what) in [
        ("usr/share/man/man1/counterfoil.1.gz", "a manual page"),
        ("usr/share/man/man1/counterfoil-serve.1.gz", "a manual page of a command"),
        ("usr/share/bash-completion/completions/counterfoil", "completions"),
        ("etc/counterfoil/counterfoil.toml", "the configuration"),
        ("usr/share/doc/counterfoil/copyright", "the licence"),
    ] {
        ensure!(clean.0.join(file).exists(), "{what} is not installed: {file}");
    }

    let server = clean.serve()?;
    println!("ready after {:.2} s as {ACCOUNT}", server.ready_after.as_secs_f64());
    let url = format!("http://{}", server.address);
    clean.run(&["counterfoil", "health", "--ready", "--url", &url], deadline)?;
    let key = std::fs::read_to_string(clean.0.join(DATA).join("admin-key"))?;
    let key = key.trim().to_owned();
    knows(&server, &key)?;
    server.stop()?;

    let before = clean.data()?;
    clean.run(&["apt-get", "remove", "--yes", "counterfoil"], deadline)?;
    ensure!(!clean.0.join("usr/bin/counterfoil").exists(), "the binary stays after a removal");
    ensure!(
        clean.0.join("etc/counterfoil/counterfoil.toml").exists(),
        "a removal took the settings"
    );
    ensure!(clean.data()? == before, "a removal touched the data");
    let told = clean.run(&["dpkg", "--purge", "counterfoil"], deadline)?;
    ensure!(clean.data()? == before, "a purge touched the data");
    ensure!(told.contains("Kept: /var/lib/counterfoil"), "a purge does not say what it keeps");
    println!("removed and purged; {} files of data are as they were", before.len());

    clean.run(&["dpkg", "--install", "/tmp/counterfoil.deb"], deadline)?;
    let server = clean.serve()?;
    knows(&server, &key)?;
    server.stop()?;
    println!("installed again; the first administrator's key is still good");
    std::fs::remove_dir_all(&clean.0)?;
    Ok(())
}

/// Whether the server still knows its first administrator.
fn knows(server: &Server, key: &str) -> Result<()> {
    let path = "/api/v1/realms/main";
    let answer = request(server.address, "GET", path, &format!("Bearer {key}"), "")?;
    if answer.status != 200 {
        bail!("the key of the first administrator is answered with {}", answer.status);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_unknown_ones_refused() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(Wish::parse(&[]), Some(Wish { debug: false, tried: true }));
        let both = Wish { debug: true, tried: false };
        assert_eq!(Wish::parse(&words("--debug --no-try")), Some(both));
        assert_eq!(Wish::parse(&words("--help")), None);
    }
}
