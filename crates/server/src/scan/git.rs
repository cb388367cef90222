//! The history of a git repository: `git rev-list` says which objects there are, `git cat-file`
//! what is in them.
//!
//! The program is asked rather than the object store read, because it knows packs, alternates,
//! worktrees and both sorts of object names, in whatever version made them.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use counterfoil_authority::kind::Kind;
use counterfoil_authority::secret::{ClearSecret, TokenId};

use super::{Hit, Place, Scanner, Sink};

/// Objects that may be asked for before their contents are read.
const AHEAD: usize = 1024;
/// Bytes of a line that names an object; paths are much shorter.
const LINE_BYTES_MAX: u64 = 64 * 1024;

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

fn git(repository: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(repository).stdin(Stdio::null()).stderr(Stdio::null());
    // Nothing is fetched that a partial clone lacks, and nobody is asked for a password.
    git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
    git
}

/// Looks through a repository.
pub(super) fn look(
    scanner: &mut Scanner,
    repository: &Path,
    sink: &mut dyn Sink,
) -> Result<(), String> {
    let asked = git(repository).args(["rev-parse", "--git-dir"]).stderr(Stdio::piped()).output();
    let asked = asked.map_err(|error| format!("git cannot be run: {error}"))?;
    if !asked.status.success() {
        return Err(String::from_utf8_lossy(&asked.stderr).trim().to_owned());
    }
    let started = |error: std::io::Error| format!("git cannot be run: {error}");
    let mut list = git(repository);
    list.args(["rev-list", "--objects", "--all"]).stdout(Stdio::piped());
    let mut list = list.spawn().map_err(started)?;
    let mut contents = git(repository);
    contents.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut contents = contents.spawn().map_err(started)?;
    let read = objects(scanner, repository, (&mut list, &mut contents), sink);
    let ended = [list.wait(), contents.wait()];
    read?;
    if ended.iter().all(|status| status.as_ref().is_ok_and(std::process::ExitStatus::success)) {
        Ok(())
    } else {
        Err("git could not read all of the history".to_owned())
    }
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
        let is_name =
            matches!(object.len(), 40 | 64) && object.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_name {
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
        if sort != "tree" {
            let (kept, whole) = one(scanner, &mut content, sink);
            if !whole {
                return Err(broken());
            }
            tell(scanner, repository, (&object, &path, sort), kept, sink);
        }
        // What is left of it, and the line break behind it.
        std::io::copy(&mut content, &mut std::io::sink()).map_err(|_| broken())?;
        answers.read_exact(&mut [0]).map_err(|_| broken())?;
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
    let commit = match sort {
        "commit" => Some(object.to_owned()),
        _ => first_commit(repository, object),
    };
    let path = if path.is_empty() { sort } else { path };
    let path = repository.join(path);
    let path = scanner.finder.redacted(&path.to_string_lossy());
    let place = Place { path, object: Some(object.to_owned()), commit };
    for Kept { line, column, kind, id, secret } in kept {
        let clear = secret.reveal().as_bytes();
        sink.found(&place, Hit { line, column, kind, id, clear });
    }
}

/// The oldest commit that has an object, of those that git lists.
fn first_commit(repository: &Path, object: &str) -> Option<String> {
    let mut log = git(repository);
    log.args(["log", "--all", "-m", "--format=%H", &format!("--find-object={object}")]);
    let told = log.output().ok()?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    text.lines().rfind(|line| !line.is_empty()).map(str::to_owned)
}
