//! One stream after the other, looked through in pieces that overlap by the length of a token.

use std::io::{self, Read};

use counterfoil_authority::kind::Kind;
use counterfoil_authority::secret::{ClearSecret, FoundToken, TOKEN_LEN_MAX, TokenFinder, TokenId};
use memchr::{memchr_iter, memrchr};
use zeroize::Zeroizing;

/// Bytes of a piece: large enough that asking for them costs nothing, small enough for the cache
/// of one core.
const PIECE_BYTES: usize = 256 * 1024;
/// Bytes of a piece that are looked at again with the next one.
const OVERLAP: usize = TOKEN_LEN_MAX - 1;

/// A token string that was found, with its place in what it was found in.
pub struct Hit<'a> {
    /// Its line, from 1; 0 in a name.
    pub line: u64,
    /// Its first byte in that line, from 1; 0 in a name.
    pub column: u64,
    /// Its kind.
    pub kind: Kind,
    /// Its public id.
    pub id: TokenId,
    pub(super) clear: &'a [u8],
}

impl Hit<'_> {
    /// The token string itself, for who asks the server about it.
    pub fn secret(&self) -> ClearSecret {
        ClearSecret::new(String::from_utf8_lossy(self.clear).into_owned())
    }
}

/// What came of looking through a stream.
pub(super) struct Looked {
    pub(super) bytes: u64,
    pub(super) error: Option<io::Error>,
}

/// The room that pieces are read into, wiped in the end: it has held tokens.
pub(super) struct Pieces(Zeroizing<Vec<u8>>);

impl Default for Pieces {
    fn default() -> Self {
        Self(Zeroizing::new(vec![0; PIECE_BYTES + OVERLAP]))
    }
}

/// How far lines have been counted in the piece at hand.
struct Lines {
    /// The line at `counted`.
    line: u64,
    /// Bytes of that line before the piece at hand.
    before: u64,
    /// Where counting stands in the piece.
    counted: usize,
    /// Where the line begins in the piece; `None`: before it.
    start: Option<usize>,
}

impl Lines {
    fn up_to(&mut self, text: &[u8], at: usize) {
        let passed = text.get(self.counted..at).unwrap_or_default();
        if let Some(last) = memrchr(b'\n', passed) {
            self.line += as_u64(memchr_iter(b'\n', passed).count());
            self.start = Some(self.counted + last + 1);
        }
        self.counted = at;
    }

    fn column(&self, at: usize) -> u64 {
        match self.start {
            Some(start) => as_u64(at - start) + 1,
            None => self.before + as_u64(at) + 1,
        }
    }

    /// Goes on with the piece that begins at `at` of this one.
    fn next_piece(&mut self, at: usize) {
        self.before = self.column(at) - 1;
        (self.start, self.counted) = (None, 0);
    }
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Pieces {
    /// Looks through a stream to its end, or as far as it can be read.
    pub(super) fn look(
        &mut self,
        finder: &TokenFinder,
        from: &mut dyn Read,
        found: &mut dyn FnMut(Hit<'_>),
    ) -> Looked {
        let mut lines = Lines { line: 1, before: 0, counted: 0, start: None };
        let (mut held, mut bytes) = (0, 0);
        loop {
            let (read, error) = fill(from, self.0.get_mut(held..).unwrap_or_default());
            bytes += as_u64(read);
            let end = held + read;
            let is_last = error.is_some() || end < self.0.len();
            let text = self.0.get(..end).unwrap_or_default();
            // What begins behind this may go on in the next piece, and is looked at there.
            let ready = if is_last { end } else { end - OVERLAP };
            for token in finder.find(text).into_iter().filter(|token| token.start < ready) {
                let FoundToken { start, end, kind, id } = token;
                lines.up_to(text, start);
                let (line, column) = (lines.line, lines.column(start));
                let clear = text.get(start..end).unwrap_or_default();
                found(Hit { line, column, kind, id, clear });
            }
            if is_last {
                return Looked { bytes, error };
            }
            lines.up_to(text, ready);
            lines.next_piece(ready);
            self.0.copy_within(ready..end, 0);
            held = end - ready;
        }
    }
}

/// Reads until the room is full or the stream ends.
fn fill(from: &mut dyn Read, room: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}
