//! Where a cluster lives: one temporary directory, free ports, a user that is not root, a password.

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::network::Spot;
use crate::clock::Deadline;
use crate::suite;

/// Where Debian's packages put the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// PostgreSQL refuses to run as root; whoever is root becomes this user.
const USER: &str = "postgres";
/// Ports are taken from here on: below those that the system gives to outgoing connections, so
/// that a server which was killed finds its port free when it comes back.
const FIRST_PORT: u16 = 18_000;
/// Where the system's own range begins on Linux.
const END_OF_PORTS: u16 = 32_000;

/// A directory that goes with this value, and what its programs run as.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    /// Where PostgreSQL's programs are.
    pub(crate) programs: PathBuf,
    /// Of the database's superuser, its replication and the nodes; made up for this run.
    pub(crate) password: String,
    /// Whom the database becomes, if this is root.
    user: Option<(u32, u32)>,
    next_port: u16,
}

impl Place {
    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// Fails without PostgreSQL's programs, or where the system refuses.
    pub(crate) fn make() -> Result<Self> {
        let programs = newest_version().context("PostgreSQL is not installed")?;
        // As /proc shows it, where the processes of a machine are looked for.
        let parent = std::env::temp_dir().canonicalize()?;
        let directory = parent.join(format!("counterfoil-cluster-{}", std::process::id()));
        fs::create_dir(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        // The database's user passes through; what is secret lies deeper.
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
        // Two clusters at the same time begin to look at different ports.
        let offset = u16::try_from(std::process::id() % 1000)? * 10;
        let place = Self {
            directory,
            programs,
            password: password()?,
            user: user_of_server()?,
            next_port: FIRST_PORT + offset,
        };
        Ok(place)
    }

    /// Makes a directory in it, for the database's user or for ourselves.
    ///
    /// # Errors
    ///
    /// Fails when the system refuses.
    pub(crate) fn directory_of(&self, name: &str, of_the_database: bool) -> Result<PathBuf> {
        let path = self.directory.join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        if let Some((uid, gid)) = self.user.filter(|_| of_the_database) {
            chown(&path, Some(uid), Some(gid))?;
        }
        Ok(path)
    }

    /// Writes a file that only the database's user reads.
    ///
    /// # Errors
    ///
    /// Fails when the system refuses.
    pub(crate) fn write(&self, path: &Path, text: &str) -> Result<()> {
        fs::write(path, text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        if let Some((uid, gid)) = self.user {
            chown(path, Some(uid), Some(gid))?;
        }
        Ok(())
    }

    /// A copy of the server for this run: a build meanwhile must not change what is restarted.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be built or copied.
    pub(crate) fn server(&self, deadline: Deadline) -> Result<PathBuf> {
        let copy = self.directory.join("counterfoil");
        fs::copy(suite::debug_binary(deadline)?, &copy)?;
        Ok(copy)
    }

    /// A command that runs as the database's user.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>, in_dir: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(in_dir).env("LC_ALL", "C.UTF-8").env("HOME", in_dir);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// The same on a machine of its own.
    pub(crate) fn command_at(&self, spot: &Spot, program: &Path, in_dir: &Path) -> Command {
        if !spot.is_apart() {
            return self.command(program, in_dir);
        }
        let mut command = spot.command(program, self.user);
        command.current_dir(in_dir).env("LC_ALL", "C.UTF-8").env("HOME", in_dir);
        command
    }

    /// A loopback address that nobody listens on, and that is given out once.
    ///
    /// # Errors
    ///
    /// Fails when there is none left.
    pub(crate) fn address(&mut self) -> Result<SocketAddr> {
        while self.next_port < END_OF_PORTS {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.next_port));
            self.next_port += 1;
            if TcpListener::bind(address).is_ok() {
                return Ok(address);
            }
        }
        bail!("no free port below {END_OF_PORTS}")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whatever still runs here would write on; then nothing holds the files any more.
        super::daemon::kill_all_in(&self.directory);
        if std::env::var_os(KEEP).is_some() {
            println!("kept: {}", self.directory.display());
        } else {
            fs::remove_dir_all(&self.directory).ok();
        }
    }
}

/// The variable that keeps the directory with its logs, for whoever looks for a fault.
const KEEP: &str = "COUNTERFOIL_KEEP_CLUSTER";

/// The programs of the newest version that is installed.
fn newest_version() -> Option<PathBuf> {
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let paths = fs::read_dir(VERSIONS).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let newest = paths.filter(|path| path.join("bin/initdb").exists()).max_by_key(number)?;
    Some(newest.join("bin"))
}

/// Whom to become, if this is root.
fn user_of_server() -> Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.split(':').next() == Some(USER));
    let line = line.with_context(|| format!("there is no user {USER}"))?;
    let mut fields = line.split(':').skip(2);
    let mut number =
        || -> Result<u32> { Ok(fields.next().context("a short line in /etc/passwd")?.parse()?) };
    Ok(Some((number()?, number()?)))
}

/// 128 bits of the system's randomness: others on this machine must not get into the database.
fn password() -> Result<String> {
    use std::fmt::Write as _;

    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}
