//! A counterfoil server of our own build on a directory of its own.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::clock::{self, Deadline};
use crate::http::{Api, request};

/// How long a server may take to answer its first request.
///
/// Much longer than the second it is allowed: what is measured is measured
/// elsewhere, here a slow machine must only not hang.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How often a starting server is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// A running program that ends when this value goes.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From its start to its first answer.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Starts `command`, which must listen on `address`, and waits until a
    /// request to `path` is answered with 200.
    ///
    /// # Errors
    ///
    /// Fails when the program ends or does not answer; what it printed is in
    /// `log`.
    pub(crate) fn start(
        mut command: Command,
        address: SocketAddr,
        path: &str,
        log: &Path,
    ) -> Result<Self> {
        let output = File::create(log)?;
        let start = clock::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let mut server = Self { child, address, ready_after: Duration::ZERO };
        let deadline = Deadline::after(READY_WITHIN);
        while !request(address, "GET", path, "none", "").is_ok_and(|answer| answer.status == 200) {
            if let Some(status) = server.child.try_wait()? {
                bail!("it ended at once ({status}); see {}", log.display());
            }
            ensure!(!deadline.passed(), "it is not ready; see {}", log.display());
            pause(ASK_EVERY);
        }
        server.ready_after = start.elapsed();
        Ok(server)
    }

    /// Asks it to end, as a service manager would, and waits until it has.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be asked.
    pub(crate) fn stop(mut self) -> Result<()> {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(asked.success(), "cannot end the server");
        self.child.wait()?;
        Ok(())
    }

    /// The process, for `/proc`.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Waits; the automation has nothing else to do meanwhile.
pub(crate) fn pause(time: Duration) {
    let (_nobody_sends, receiver) = mpsc::channel::<()>();
    receiver.recv_timeout(time).ok();
}

/// A loopback address that nobody listens on at this moment.
///
/// # Errors
///
/// Fails when the machine has no free port.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// An initialised data directory and the key of its first operator.
#[derive(Debug)]
pub(crate) struct DataDir {
    pub(crate) path: PathBuf,
    pub(crate) operator_key: String,
}

/// The file beside a data directory that keeps its operator's key for the next
/// run. Only for directories that hold generated data.
const KEY_FILE: &str = "operator-key";

impl DataDir {
    /// Makes a fresh one at `path`, deleting what was there.
    ///
    /// # Errors
    ///
    /// Fails when `counterfoil init` refuses.
    pub(crate) fn create(binary: &Path, path: PathBuf) -> Result<Self> {
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)?;
        let output = Command::new(binary)
            .args(["init", "--data"])
            .arg(path.join("data"))
            .output()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        ensure!(
            output.status.success(),
            "`counterfoil init` failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let operator_key = String::from_utf8(output.stdout)?.trim().to_owned();
        ensure!(
            operator_key.starts_with("cflk_") && !operator_key.contains('\n'),
            "`counterfoil init` must print the key and nothing else"
        );
        std::fs::write(path.join(KEY_FILE), &operator_key)?;
        Ok(Self { path, operator_key })
    }

    /// Opens one that an earlier run made.
    ///
    /// # Errors
    ///
    /// Fails when there is none.
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let operator_key = std::fs::read_to_string(path.join(KEY_FILE))?;
        Ok(Self { path, operator_key })
    }

    /// The directory the server is given.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Serves it on a free port, with `settings` as environment variables.
    ///
    /// # Errors
    ///
    /// Fails when the server does not become ready.
    pub(crate) fn serve(
        &self,
        binary: &Path,
        settings: &[(String, String)],
    ) -> Result<(Server, Api)> {
        let address = free_address()?;
        let mut command = Command::new(binary);
        command
            .arg("serve")
            .arg("--data")
            .arg(self.data())
            .args(["--listen", &address.to_string()])
            // Settings may say where; a flag would win over them.
            .env("COUNTERFOIL_LDAP__LISTEN", "127.0.0.1:0")
            .envs(settings.iter().map(|(name, value)| (name, value)));
        let server =
            Server::start(command, address, "/healthz/ready", &self.path.join("server.log"))?;
        let api = Api { address, key: self.operator_key.clone() };
        Ok((server, api))
    }
}
