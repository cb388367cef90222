//! A PostgreSQL cluster in a temporary directory, reached through its socket, gone at the end.
//!
//! The tests of the server's processes use it too.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use counterfoil_store::DatabaseUrl;
use tempfile::TempDir;

/// Where Debian's packages put the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The server refuses to run as root; whoever is root becomes this user.
const USER: &str = "postgres";

/// A running cluster.
pub(crate) struct Cluster {
    directory: TempDir,
    programs: PathBuf,
}

impl Cluster {
    /// Makes a cluster and starts it; its log tells how it ran each statement.
    pub(crate) fn that_explains() -> Self {
        Self::with(
            "session_preload_libraries = auto_explain\n\
             auto_explain.log_min_duration = 0\n\
             auto_explain.log_format = json\n",
        )
    }

    /// Makes a cluster and starts it.
    ///
    /// # Panics
    ///
    /// When PostgreSQL is not installed: a test that is left out tells nobody anything.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// Makes a standby of this cluster and starts it.
    pub(crate) fn standby(&self) -> Self {
        let directory = own_directory();
        let standby = Self { directory, programs: self.programs.clone() };
        let from = self.directory.path().display().to_string();
        let data = standby.data();
        standby.run("pg_basebackup", &["-h", &from, "-U", "cf", "-D", &data, "-R", "-c", "fast"]);
        let socket = standby.directory.path().display();
        standby.set(&format!("unix_socket_directories = '{socket}'\n"));
        standby.begin();
        standby
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "promote"]);
    }

    /// Makes a cluster that takes encrypted connections only, on a port of all loopback addresses
    /// of IPv4, with a certificate for `localhost` and 127.0.0.1.
    pub(crate) fn encrypted(certificate: &Path, key: &Path, port: u16) -> Self {
        let cluster = Self::with(&format!("listen_addresses = '0.0.0.0'\nport = {port}\n"));
        cluster.end("fast");
        for (from, to) in [(certificate, "server.crt"), (key, "server.key")] {
            let to = Path::new(&cluster.data()).join(to);
            fs::copy(from, &to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
            if let Some((uid, gid)) = user_of_server() {
                chown(&to, Some(uid), Some(gid)).unwrap();
            }
        }
        cluster.set("ssl = on\n");
        let rules = Path::new(&cluster.data()).join("pg_hba.conf");
        fs::write(rules, "hostssl all all 127.0.0.0/8 trust\n").unwrap();
        cluster.begin();
        cluster
    }

    fn set(&self, settings: &str) {
        let path = Path::new(&self.data()).join("postgresql.conf");
        let written = fs::read_to_string(&path).unwrap() + settings;
        fs::write(&path, written).unwrap();
    }

    fn with(more: &str) -> Self {
        let programs = newest_version().expect(
            "these tests need PostgreSQL; on Debian: apt-get install --no-install-recommends postgresql",
        );
        let directory = own_directory();
        let cluster = Self { directory, programs };
        let data = cluster.data();
        cluster.run("initdb", &["-D", &data, "-A", "trust", "-U", "cf", "-E", "UTF8", "-N"]);
        let socket = cluster.directory.path().display();
        let settings = format!(
            "unix_socket_directories = '{socket}'\nlisten_addresses = ''\nmax_connections = 200\n{more}"
        );
        cluster.set(&settings);
        cluster.begin();
        cluster
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn begin(&self) {
        let (data, log) = (self.data(), self.directory.path().join("log"));
        self.run("pg_ctl", &["-D", &data, "-l", &log.display().to_string(), "-w", "start"]);
    }

    /// Ends the server, `fast` or as if the machine had died: `immediate`.
    pub(crate) fn end(&self, mode: &str) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", mode, "-w", "stop"]);
    }

    /// The process of the server, and those that it has started.
    pub(crate) fn processes(&self) -> Vec<String> {
        let file = Path::new(&self.data()).join("postmaster.pid");
        let first = fs::read_to_string(file).unwrap().lines().next().unwrap().to_owned();
        let children = format!("/proc/{first}/task/{first}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        std::iter::once(first).chain(children.split_whitespace().map(Into::into)).collect()
    }

    /// What the server has written down.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Where its files are: data, write-ahead log, log.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the socket lies.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join(".s.PGSQL.5432")
    }

    /// A host for a URL.
    pub(crate) fn host(&self) -> String {
        self.directory.path().display().to_string().replace('/', "%2F")
    }

    /// Makes an empty database with the programs of the server.
    pub(crate) fn make_database(&self, name: &str) {
        let directory = self.directory.path().display().to_string();
        self.run("createdb", &["-h", &directory, "-U", "cf", name]);
    }

    /// Copies a database that nobody has open.
    pub(crate) fn copy_database(&self, from: &str, to: &str) {
        let directory = self.directory.path().display().to_string();
        self.run("createdb", &["-h", &directory, "-U", "cf", "-T", from, to]);
    }

    /// Where a database of that name is.
    pub(crate) fn url(&self, name: &str) -> DatabaseUrl {
        DatabaseUrl::parse(&format!("postgres://cf@{}/{name}", self.host())).unwrap()
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(self.directory.path()).env("LC_ALL", "C.UTF-8");
        if let Some((uid, gid)) = user_of_server() {
            command.uid(uid).gid(gid);
        }
        // The server inherits what it is started with; it must not keep the test's pipes open.
        let said = self.directory.path().join("said");
        let file = fs::File::create(&said).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let status = command.status().unwrap();
        Output { status, stdout: Vec::new(), stderr: fs::read(said).unwrap() }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.processes_if_any() {
            // One that was stopped would not hear that it is to end.
            let _ = Command::new("kill").args(["-CONT", &process]).output();
        }
        let _ = self.command("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }
}

impl Cluster {
    fn processes_if_any(&self) -> Vec<String> {
        let runs = Path::new(&self.data()).join("postmaster.pid").exists();
        if runs { self.processes() } else { Vec::new() }
    }
}

/// A temporary directory of the server's user.
fn own_directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    if let Some((uid, gid)) = user_of_server() {
        chown(directory.path(), Some(uid), Some(gid)).unwrap();
    }
    directory
}

/// The programs of the newest version that is installed.
fn newest_version() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?;
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let paths = versions.filter_map(|entry| Some(entry.ok()?.path()));
    let newest = paths.filter(|path| path.join("bin/initdb").exists()).max_by_key(number)?;
    Some(newest.join("bin"))
}

/// Whom to become, if this is root.
fn user_of_server() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with(&format!("{USER}:"))).unwrap();
    let mut fields = line.split(':').skip(2).map(|field| field.parse().unwrap());
    Some((fields.next().unwrap(), fields.next().unwrap()))
}
