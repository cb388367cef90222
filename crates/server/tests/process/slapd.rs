//! A directory of its own for each test: the real slapd on a free port of loopback.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::harness::{PATIENCE, await_true};

/// Where people are.
pub(crate) const PEOPLE: &str = "ou=People,dc=myvo,dc=org";
/// Who may do everything.
pub(crate) const ADMIN: &str = "cn=admin,dc=myvo,dc=org";
/// Their password.
pub(crate) const PASSWORD: &str = "admin-of-the-directory";

/// How a directory is set up.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) vo_person: bool,
    pub(crate) options: bool,
    pub(crate) modules: bool,
    pub(crate) readonly: bool,
    /// Whether it offers `StartTLS`, and takes no password without it.
    pub(crate) tls: bool,
    /// Bytes that its database may have: little makes it full.
    pub(crate) max_bytes: u64,
    /// Rules of access, in the syntax of slapd.conf.
    pub(crate) access: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            vo_person: true,
            options: true,
            modules: true,
            readonly: false,
            tls: false,
            max_bytes: 64 << 20,
            access: String::new(),
        }
    }
}

/// An entry: values by attribute description in lower case.
pub(crate) type Entry = BTreeMap<String, Vec<String>>;

/// A directory.
pub(crate) struct Slapd {
    child: Option<Child>,
    tls: bool,
    port: u16,
    home: TempDir,
}

impl Slapd {
    /// A directory with its suffix and a branch for people.
    pub(crate) fn new(setup: &Setup) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("db")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut slapd = Self { child: None, tls: setup.tls, port, home };
        slapd.start(setup);
        slapd.add(
            "dn: dc=myvo,dc=org\nobjectClass: organization\nobjectClass: dcObject\no: My VO\n\
             dc: myvo\n\ndn: ou=People,dc=myvo,dc=org\nobjectClass: organizationalUnit\n\
             ou: People\n",
        );
        slapd
    }

    pub(crate) fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Starts it on the same port and database.
    pub(crate) fn start(&mut self, setup: &Setup) {
        fs::write(self.path("slapd.conf"), configuration(self.home.path(), setup)).unwrap();
        let log = fs::File::create(self.path("log")).unwrap();
        let child = Command::new("/usr/sbin/slapd")
            .arg("-f")
            .arg(self.path("slapd.conf"))
            .args(["-h", &self.url(), "-d", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("slapd is installed");
        self.child = Some(child);
        let mut ended = None;
        await_true("the directory answers", PATIENCE, || {
            ended = self.child.as_mut().unwrap().try_wait().unwrap();
            ended.is_some() || TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        assert!(ended.is_none(), "{}", fs::read_to_string(self.path("log")).unwrap());
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Lets nothing happen in it until [`Slapd::go_on`]. A signal is on its way for a moment, and a
    /// thread that it has not reached yet answers.
    pub(crate) fn halt(&self) {
        self.signal("-STOP");
        let tasks = format!("/proc/{}/task", self.child.as_ref().unwrap().id());
        await_true("every thread has stopped", PATIENCE, || {
            let mut threads = std::fs::read_dir(&tasks).unwrap();
            threads.all(|thread| {
                // The state stands behind the name in parentheses, which may hold any letter.
                let stat = std::fs::read_to_string(thread.unwrap().path().join("stat"));
                let stat = stat.unwrap_or_default();
                stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
            })
        });
    }

    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    /// Ends it in an orderly way.
    pub(crate) fn stop(&mut self) {
        self.signal("-TERM");
        self.child.take().unwrap().wait().unwrap();
    }

    /// Ends it as a power failure would.
    pub(crate) fn kill9(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.args(["-x", "-H", &self.url()]).stdin(Stdio::null());
        if self.tls {
            command.arg("-ZZ").env("LDAPTLS_REQCERT", "never");
        }
        command
    }

    fn with_ldif(&self, name: &str, ldif: &str) -> Output {
        let file = self.path("ldif");
        fs::write(&file, ldif).unwrap();
        let mut command = self.tool(name);
        command.args(["-D", ADMIN, "-w", PASSWORD, "-f"]).arg(file).output().unwrap()
    }

    /// Adds entries.
    #[track_caller]
    pub(crate) fn add(&self, ldif: &str) {
        let done = self.with_ldif("ldapadd", ldif);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Changes entries.
    #[track_caller]
    pub(crate) fn modify(&self, ldif: &str) {
        let done = self.with_ldif("ldapmodify", ldif);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Adds an entry of a person as a directory that somebody else keeps would have it.
    #[track_caller]
    pub(crate) fn person(&self, uid: &str) {
        self.add(&person(uid));
    }

    /// What a search finds as somebody; `None`: as nobody.
    pub(crate) fn search_as(
        &self,
        who: Option<(&str, &str)>,
        filter: &str,
        attributes: &[&str],
    ) -> Vec<Entry> {
        let mut command = self.tool("ldapsearch");
        if let Some((dn, password)) = who {
            command.args(["-D", dn, "-w", password]);
        }
        command.args(["-LLL", "-o", "ldif-wrap=no", "-b", "dc=myvo,dc=org", filter]);
        let done = command.args(attributes).output().unwrap();
        entries(&String::from_utf8(done.stdout).unwrap())
    }

    /// The lines that `ldapsearch` writes for who may do everything, without the empty ones.
    pub(crate) fn ldif(&self, filter: &str) -> Vec<String> {
        let mut command = self.tool("ldapsearch");
        command.args(["-D", ADMIN, "-w", PASSWORD, "-LLL", "-o", "ldif-wrap=no", "-b", PEOPLE]);
        let text = String::from_utf8(command.arg(filter).output().unwrap().stdout).unwrap();
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// What a search finds as who may do everything.
    pub(crate) fn search(&self, filter: &str) -> Vec<Entry> {
        self.search_as(Some((ADMIN, PASSWORD)), filter, &[])
    }

    /// The entry of a person.
    #[track_caller]
    pub(crate) fn entry(&self, uid: &str) -> Entry {
        self.search(&format!("(uid={uid})")).pop().expect("the person has an entry")
    }

    /// The values under a label of a person; none where there is no such entry.
    pub(crate) fn values(&self, uid: &str, label: &str) -> Vec<String> {
        let name = format!("voPersonApplicationPassword;app-{label}").to_lowercase();
        let found = self.search(&format!("(uid={uid})")).pop();
        found.and_then(|mut entry| entry.remove(&name)).unwrap_or_default()
    }

    /// Whether a password binds.
    pub(crate) fn binds(&self, dn: &str, password: &str) -> bool {
        self.bound(dn, password) == Some(0)
    }

    /// What `ldapwhoami` ends with: the result of the bind.
    pub(crate) fn bound(&self, dn: &str, password: &str) -> Option<i32> {
        let mut command = self.tool("ldapwhoami");
        command.args(["-D", dn, "-w", password]).output().unwrap().status.code()
    }

    /// Whether a stored value accepts a secret: it is put where slapd checks it.
    #[track_caller]
    pub(crate) fn accepts(&self, value: &str, secret: &str) -> bool {
        let dn = "cn=scratch,dc=myvo,dc=org";
        let encoded = STANDARD.encode(value);
        self.add(&format!(
            "dn: {dn}\nobjectClass: person\ncn: scratch\nsn: x\nuserPassword:: {encoded}\n"
        ));
        let binds = self.binds(dn, secret);
        // The hash itself must never do: that would be a password in clear.
        assert!(!self.binds(dn, value), "the hash itself binds: {value}");
        self.modify(&format!("dn: {dn}\nchangetype: delete\n"));
        binds
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The LDIF of a person.
pub(crate) fn person(uid: &str) -> String {
    format!(
        "dn: uid={uid},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n\
         mail: {uid}@myvo.org\n\n"
    )
}

fn configuration(home: &Path, setup: &Setup) -> String {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/ldap/voperson.schema");
    let mut lines = vec![
        "include /etc/ldap/schema/core.schema".to_owned(),
        "include /etc/ldap/schema/cosine.schema".to_owned(),
        "include /etc/ldap/schema/inetorgperson.schema".to_owned(),
    ];
    if setup.vo_person {
        lines.push(format!("include {schema}"));
    }
    if setup.options {
        lines.push(
            "attributeoptions lang- app- role- scope- type- time- prior internal preferred"
                .to_owned(),
        );
    }
    lines.push("modulepath /usr/lib/ldap\nmoduleload back_mdb".to_owned());
    if setup.modules {
        lines.push("moduleload argon2\nmoduleload pw-sha2\nmoduleload pw-pbkdf2".to_owned());
    }
    if setup.tls {
        let file = |name: &str| format!("{}/src/tls/{name}", env!("CARGO_MANIFEST_DIR"));
        lines.push(format!("TLSCertificateFile {}", file("cert.pem")));
        lines.push(format!("TLSCertificateKeyFile {}", file("key.pem")));
        lines.push("security simple_bind=64".to_owned());
    }
    lines.push(format!("pidfile {}/pid", home.display()));
    lines.push("database mdb\nsuffix dc=myvo,dc=org".to_owned());
    lines.push(format!("rootdn {ADMIN}\nrootpw {PASSWORD}"));
    lines.push(format!("directory {}/db\nmaxsize {}", home.display(), setup.max_bytes));
    // Tests of crashes are about our side; without this each takes an age on a slow disk.
    lines.push("dbnosync\nindex objectClass,uid eq".to_owned());
    if setup.readonly {
        lines.push("readonly on".to_owned());
    }
    lines.push(setup.access.clone());
    lines.join("\n") + "\n"
}

/// Reads LDIF as `ldapsearch` writes it without wrapping.
fn entries(ldif: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    for block in ldif.split("\n\n").filter(|block| block.contains("dn:")) {
        let mut entry = Entry::new();
        for line in block.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = match value.strip_prefix(':') {
                Some(encoded) => {
                    String::from_utf8(STANDARD.decode(encoded.trim()).unwrap()).unwrap()
                }
                None => value.trim_start().to_owned(),
            };
            entry.entry(name.to_lowercase()).or_default().push(value);
        }
        found.push(entry);
    }
    found
}
