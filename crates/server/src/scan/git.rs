//! The history of a git repository: `git rev-list` says which objects there are, `git cat-file`
//! what is in them.
//!
//! The program is asked rather than the object store read, because it knows packs, alternates,
//! worktrees and both sorts of object names, in whatever version made them.
//!
//! Invariant: a repository is looked at because nobody trusts it, so nothing that it says runs a
//! program, hides an object or fetches one. Only plumbing is used, which does not read what people
//! set for themselves, and [`CONFIG`] takes back what it might read.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use counterfoil_authority::kind::Kind;
use counterfoil_authority::secret::{ClearSecret, TokenId};

use super::{Hit, Part, Place, Scanner, Sink};

/// Objects that may be asked for before their contents are read.
const AHEAD: usize = 1024;
/// Bytes of a line that names an object; paths are much shorter.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Settings that count whatever a repository says: its own file may name programs, and a graph of
/// commits that is not theirs.
const CONFIG: [&str; 12] = [
    "log.showSignature=false",
    "gpg.program=false",
    "gpg.ssh.program=false",
    "gpg.x509.program=false",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.sshCommand=false",
    "core.pager=cat",
    "core.commitGraph=false",
    "core.alternateRefsCommand=false",
    "diff.external=false",
    "protocol.allow=never",
];

/// A hit whose object is still being read.
struct Kept {
    line: u64,
    column: u64,
    kind: Kind,
    id: TokenId,
    secret: ClearSecret,
}

/// An object by its name, with a path under which it is known.
struct Named {
    object: String,
    path: String,
}

/// Names of entries that hold a token, by the directory and the token: the object that was listed
/// last, which is the oldest, of all versions of that directory.
type Names = BTreeMap<(String, TokenId), (String, Kept)>;

fn git(repository: &Path) -> Command {
    let mut git = Command::new("git");
    // A variable of the caller's may name another repository than the one that is asked for.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") {
            git.env_remove(name);
        }
    }
    // Neither a replacement nor a graft stands before what is really there.
    git.args(["--no-pager", "--no-replace-objects"]).env("GIT_GRAFT_FILE", "/dev/null");
    for setting in CONFIG {
        git.args(["-c", setting]);
    }
    git.arg("-C").arg(repository).stdin(Stdio::null()).stderr(Stdio::null());
    // Nothing is fetched that a partial clone lacks, and nobody is asked for a password.
    git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
    git
}

fn not_run(error: &std::io::Error) -> String {
    format!("git cannot be run: {error}")
}

/// Looks through a repository.
pub(super) fn look(
    scanner: &mut Scanner,
    repository: &Path,
    sink: &mut dyn Sink,
) -> Result<(), String> {
    let asked = git(repository).args(["rev-parse", "--git-dir"]).stderr(Stdio::piped()).output();
    let asked = asked.map_err(|error| not_run(&error))?;
    if !asked.status.success() {
        return Err(String::from_utf8_lossy(&asked.stderr).trim().to_owned());
    }
    references(scanner, repository, sink)?;
    let mut list = git(repository);
    list.args(["rev-list", "--objects", "--all"]).stdout(Stdio::piped());
    let mut list = list.spawn().map_err(|error| not_run(&error))?;
    let mut contents = git(repository);
    contents.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut contents = contents.spawn().map_err(|error| not_run(&error))?;
    let read = objects(scanner, repository, (&mut list, &mut contents), sink);
    let ended = [list.wait(), contents.wait()];
    read?;
    if ended.iter().all(|status| status.as_ref().is_ok_and(std::process::ExitStatus::success)) {
        Ok(())
    } else {
        Err("git could not read all of the history".to_owned())
    }
}

/// Looks at the names of branches, tags and all other references.
fn references(scanner: &Scanner, repository: &Path, sink: &mut dyn Sink) -> Result<(), String> {
    let mut list = git(repository);
    list.args(["for-each-ref", "--format=%(refname)"]).stdout(Stdio::piped());
    let mut list = list.spawn().map_err(|error| not_run(&error))?;
    let broken = || "git could not list all references".to_owned();
    if let Some(names) = list.stdout.take() {
        // However long a name is, git has it in memory, too.
        for name in BufReader::new(names).split(b'\n') {
            let name = name.map_err(|_| broken())?;
            let path = repository.join(&*String::from_utf8_lossy(&name));
            scanner.name((Part::Reference, &path.to_string_lossy()), &name, sink);
        }
    }
    let ended = list.wait();
    if ended.is_ok_and(|status| status.success()) { Ok(()) } else { Err(broken()) }
}

fn objects(
    scanner: &mut Scanner,
    repository: &Path,
    (list, contents): (&mut Child, &mut Child),
    sink: &mut dyn Sink,
) -> Result<(), String> {
    let (Some(names), Some(asked), Some(answers)) =
        (list.stdout.take(), contents.stdin.take(), contents.stdout.take())
    else {
        return Err("git cannot be spoken to".to_owned());
    };
    let (send, objects) = sync_channel(AHEAD);
    thread::scope(|scope| {
        scope.spawn(move || ask_for_all(BufReader::new(names), asked, &send));
        let mut answers = BufReader::with_capacity(1 << 20, answers);
        read_all(scanner, repository, &mut answers, &objects, sink)
    })
}

/// Hands every object that is listed to `git cat-file`, and its name to who reads the contents.
fn ask_for_all(
    mut names: impl BufRead,
    mut asked: std::process::ChildStdin,
    send: &SyncSender<Named>,
) {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = names.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if !read.is_ok_and(|read| read > 0) {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches('\n');
        let (object, path) = text.split_once(' ').unwrap_or((text, ""));
        // The rest of a path with a line break in it is no object.
        if !is_object(object) {
            continue;
        }
        let next = Named { object: object.to_owned(), path: path.to_owned() };
        // Either end may be gone, and then there is nobody to go on for.
        if writeln!(asked, "{object}").is_err() || send.send(next).is_err() {
            return;
        }
    }
}

fn read_all(
    scanner: &mut Scanner,
    repository: &Path,
    answers: &mut dyn BufRead,
    named: &Receiver<Named>,
    sink: &mut dyn Sink,
) -> Result<(), String> {
    let broken = || "git cat-file ended early".to_owned();
    let mut of_trees = Names::new();
    for Named { object, path } in named {
        let mut head = String::new();
        answers.read_line(&mut head).map_err(|_| broken())?;
        let mut words = head.split_ascii_whitespace().skip(1);
        let (sort, size) = (words.next().unwrap_or_default(), words.next());
        let Some(size) = size.and_then(|size| size.parse::<u64>().ok()) else {
            if head.is_empty() {
                return Err(broken());
            }
            scanner.unread(&object, "git does not have this object");
            continue;
        };
        let mut content = Read::take(&mut *answers, size);
        let (kept, whole) = one(scanner, &mut content, sink);
        if !whole {
            return Err(broken());
        }
        if sort == "tree" {
            // All versions of a directory repeat the name, which is told of once.
            for kept in kept {
                of_trees.insert((path.clone(), kept.id), (object.clone(), kept));
            }
        } else {
            tell(scanner, repository, (&object, &path, sort), kept, sink);
        }
        // What is left of it, and the line break behind it.
        std::io::copy(&mut content, &mut std::io::sink()).map_err(|_| broken())?;
        answers.read_exact(&mut [0]).map_err(|_| broken())?;
    }
    for ((path, _), (object, kept)) in of_trees {
        tell(scanner, repository, (&object, &path, "tree"), vec![kept], sink);
    }
    Ok(())
}

/// Looks through one object, and says whether all of it could be read.
fn one(scanner: &mut Scanner, content: &mut dyn Read, sink: &mut dyn Sink) -> (Vec<Kept>, bool) {
    let mut kept = Vec::new();
    let looked = scanner.pieces.look(&scanner.finder, content, &mut |hit| {
        let Hit { line, column, kind, id, .. } = hit;
        kept.push(Kept { line, column, kind, id, secret: hit.secret() });
    });
    scanner.tally.files += 1;
    scanner.tally.bytes += looked.bytes;
    sink.progressed(looked.bytes);
    (kept, looked.error.is_none())
}

fn tell(
    scanner: &Scanner,
    repository: &Path,
    (object, path, sort): (&str, &str, &str),
    kept: Vec<Kept>,
    sink: &mut dyn Sink,
) {
    if kept.is_empty() {
        return;
    }
    let commit = match (sort, path) {
        ("commit", _) => Some(object.to_owned()),
        ("tree", "") => first_with_root(repository, object),
        _ => first_commit(repository, object),
    };
    let path = match (sort, path) {
        ("tree", "") | ("commit" | "tag", _) => repository.to_owned(),
        (_, "") => repository.join(sort),
        _ => repository.join(path),
    };
    let part = match sort {
        "tree" => Part::Entry,
        "commit" | "tag" => Part::Message,
        _ => Part::Content,
    };
    let path = scanner.shown(&path.to_string_lossy());
    let place = Place { path, part, object: Some(object.to_owned()), commit };
    for Kept { line, column, kind, id, secret } in kept {
        // A directory is no text with lines, and nobody counts those of a commit's heading.
        let (line, column) = if part == Part::Content { (line, column) } else { (0, 0) };
        let clear = secret.reveal().as_bytes();
        sink.found(&place, Hit { line, column, kind, id, clear });
    }
}

fn is_object(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The oldest commit that brought or took away an object, of those that git lists.
fn first_commit(repository: &Path, object: &str) -> Option<String> {
    let mut list = git(repository);
    list.args(["rev-list", "--all"]).stdout(Stdio::piped());
    let mut list = list.spawn().ok()?;
    let mut changes = git(repository);
    changes.args(["diff-tree", "--stdin", "--root", "-m", "-r", "--no-ext-diff", "--no-textconv"]);
    changes.arg(format!("--find-object={object}"));
    let told = list.stdout.take().and_then(|commits| changes.stdin(commits).output().ok());
    // It holds the end of the pipe that the first one would wait for, had the second one failed.
    drop(changes);
    list.wait().ok()?;
    let told = told?;
    let text = String::from_utf8_lossy(&told.stdout);
    // A commit stands alone in its line, and what it changed below it.
    text.lines().rfind(|line| is_object(line)).map(str::to_owned)
}

/// The oldest commit whose uppermost directory is this one.
fn first_with_root(repository: &Path, tree: &str) -> Option<String> {
    let mut list = git(repository);
    let told = list.args(["rev-list", "--all", "--format=tformat:%T"]).output().ok()?;
    let text = String::from_utf8_lossy(&told.stdout);
    let (mut commit, mut first) = (None, None);
    for line in text.lines() {
        match line.strip_prefix("commit ") {
            Some(next) => commit = Some(next),
            None if line == tree => first = commit,
            None => {}
        }
    }
    first.map(str::to_owned)
}
