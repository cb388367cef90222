//! OpenLDAP's slapd with people in it: the rival of binds, and where provisioning goes.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::world::{World, result_of};
use crate::clock::Deadline;
use crate::command::{self, Show};
use crate::server::pause;
use crate::workspace::root;

/// How long it may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Who may write there, and the password.
pub(super) const ROOT: &str = "cn=admin,dc=bench";
pub(super) const ROOT_PASSWORD: &str = "bench";
/// Where the people are.
pub(super) const PEOPLE: &str = "ou=people,dc=bench";

/// A directory in files of its own; the server on it ends with this value.
pub(super) struct Slapd {
    home: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Slapd {
    /// Writes its configuration and its people, and to `lines` their passwords. Does not start it.
    ///
    /// # Errors
    ///
    /// Fails when a file cannot be written.
    pub(super) fn set_up(
        world: &World,
        home: &Path,
        address: SocketAddr,
        entries: u64,
        lines: &Path,
    ) -> Result<Self> {
        let mut people = world.tool("people");
        people
            .args(["--entries", &entries.to_string()])
            .arg("--ldif")
            .arg(home.join("people.ldif"));
        result_of(people.arg("--lines").arg(lines))?;
        let mut text = String::from(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\n",
        );
        let schema = root().join("docs/guide/ldap/voperson.schema");
        writeln!(text, "include {}", schema.display())?;
        text.push_str(
            "attributeoptions lang- app- role- scope- type- time- prior internal preferred\n\
             modulepath /usr/lib/ldap\nmoduleload back_mdb\nloglevel 0\nthreads 4\n\
             database mdb\nsuffix \"dc=bench\"\nmaxsize 1073741824\n\
             index objectClass eq\nindex uid eq\n",
        );
        writeln!(text, "rootdn \"{ROOT}\"\nrootpw {ROOT_PASSWORD}")?;
        writeln!(text, "directory {}", home.join("database").display())?;
        writeln!(text, "pidfile {}", home.join("slapd.pid").display())?;
        fs::write(home.join("slapd.conf"), text)?;
        Ok(Self { home: home.to_owned(), address, child: None })
    }

    /// Starts it, with its people as they were at first.
    ///
    /// # Errors
    ///
    /// Fails when it does not answer.
    pub(super) fn started(mut self) -> Result<Self> {
        self.start_anew()?;
        Ok(self)
    }

    /// Stops it if it runs, and starts it with its people as they were at first.
    ///
    /// # Errors
    ///
    /// Fails when it does not answer.
    pub(super) fn start_anew(&mut self) -> Result<()> {
        self.stop();
        let database = self.home.join("database");
        fs::remove_dir_all(&database).ok();
        fs::create_dir_all(&database)?;
        let mut add = Command::new("/usr/sbin/slapadd");
        add.arg("-q").arg("-f").arg(self.home.join("slapd.conf"));
        add.arg("-l").arg(self.home.join("people.ldif"));
        let ran = command::run(&mut add, Deadline::NEVER, Show::OnFailure)?;
        ensure!(ran.ok(), "slapadd failed: {}", ran.fault());
        let child = Command::new("/usr/sbin/slapd")
            .args(["-d", "0", "-h", &self.url(), "-f"])
            .arg(self.home.join("slapd.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.home.join("slapd.log"))?)
            .spawn()
            .context("slapd cannot be started")?;
        let child = self.child.insert(child);
        let deadline = Deadline::after(READY_WITHIN);
        while TcpStream::connect(self.address).is_err() {
            let ended = child.try_wait()?;
            ensure!(ended.is_none() && !deadline.passed(), "slapd does not answer: {ended:?}");
            pause(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Where it answers, in clear text.
    pub(super) fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// Its process; 0 while it is stopped.
    pub(super) fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// One of OpenLDAP's commands, bound as who may write.
    pub(super) fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.args(["-x", "-H", &self.url(), "-D", ROOT, "-w", ROOT_PASSWORD]);
        command.stdin(Stdio::null());
        command
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only when it has ended already.
            child.kill().ok();
            child.wait().ok();
        }
    }
}
