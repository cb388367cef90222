//! Files under a passphrase: backups and exported keys.
//!
//! A file is a text line, a header, and chunks. The key is Argon2id of the
//! passphrase; each chunk is XChaCha20-Poly1305 under a nonce made of a random
//! prefix, the chunk's number and a flag on the last one, with the whole header
//! as associated data. So chunks cannot be swapped, dropped, repeated or moved to
//! another file, and a cut-off file is noticed (Hoang et al., "Online
//! Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", STREAM).

use std::io::{self, Read, Write};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use counterfoil_authority::clock::Entropy;
use counterfoil_authority::secret::ClearSecret;
use zeroize::Zeroizing;

/// Bytes of clear text per chunk: few enough to hold, many enough to be quick.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes that Poly1305 adds.
const TAG_BYTES: usize = 16;
/// Cost of deriving the key: done once per file by a person who waits, hence high.
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3 };
/// A file may not ask for more, or opening a hostile one would exhaust the machine.
const COST_MAX: Cost = Cost { memory_kib: 1024 * 1024, passes: 16 };
/// Fewest characters of a passphrase.
pub const PASSPHRASE_LEN_MIN: usize = 12;

const SALT_BYTES: usize = 16;
const PREFIX_BYTES: usize = 19;
const HEADER_BYTES: usize = 8 + SALT_BYTES + PREFIX_BYTES;

/// What is inside a sealed file; part of its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Database and keys.
    Backup,
    /// Keys alone.
    Keys,
}

impl Content {
    const fn line(self) -> &'static str {
        match self {
            Self::Backup => "counterfoil-sealed 1 backup\n",
            Self::Keys => "counterfoil-sealed 1 keys\n",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
}

/// The state that both directions share.
struct Stream {
    cipher: XChaCha20Poly1305,
    header: Vec<u8>,
    prefix: [u8; PREFIX_BYTES],
    number: u32,
}

impl Stream {
    fn new(
        content: Content,
        header: [u8; HEADER_BYTES],
        passphrase: &ClearSecret,
    ) -> io::Result<Self> {
        let [m0, m1, m2, m3, p0, p1, p2, p3, rest @ ..] = header;
        let cost = Cost {
            memory_kib: u32::from_be_bytes([m0, m1, m2, m3]),
            passes: u32::from_be_bytes([p0, p1, p2, p3]),
        };
        let (salt, prefix) = rest.split_at(SALT_BYTES);
        let mut nonce_prefix = [0; PREFIX_BYTES];
        nonce_prefix.copy_from_slice(prefix);
        let key = derive(passphrase, salt, cost)?;
        let mut authenticated = content.line().as_bytes().to_vec();
        authenticated.extend_from_slice(&header);
        Ok(Self {
            cipher: XChaCha20Poly1305::new((&*key).into()),
            header: authenticated,
            prefix: nonce_prefix,
            number: 0,
        })
    }

    /// The nonce of the next chunk.
    fn nonce(&mut self, last: bool) -> io::Result<XNonce> {
        let mut nonce = [0; 24];
        let (prefix, rest) = nonce.split_at_mut(PREFIX_BYTES);
        prefix.copy_from_slice(&self.prefix);
        let (number, flag) = rest.split_at_mut(4);
        number.copy_from_slice(&self.number.to_be_bytes());
        flag.fill(u8::from(last));
        let next = self.number.checked_add(1);
        self.number = next.ok_or_else(|| io::Error::other("the file is too large to be sealed"))?;
        Ok(XNonce::from(nonce))
    }

    fn seal(&mut self, clear: &[u8], last: bool) -> io::Result<Vec<u8>> {
        let nonce = self.nonce(last)?;
        let payload = Payload { msg: clear, aad: &self.header };
        self.cipher.encrypt(&nonce, payload).map_err(|_| io::Error::other("cannot seal"))
    }

    fn open(&mut self, sealed: &[u8], last: bool) -> io::Result<Zeroizing<Vec<u8>>> {
        let first = self.number == 0;
        let nonce = self.nonce(last)?;
        let payload = Payload { msg: sealed, aad: &self.header };
        self.cipher.decrypt(&nonce, payload).map(Zeroizing::new).map_err(|_| {
            invalid(if first {
                "the passphrase is wrong, or the file was altered or cut off"
            } else {
                "the file was altered or cut off"
            })
        })
    }
}

fn derive(passphrase: &ClearSecret, salt: &[u8], cost: Cost) -> io::Result<Zeroizing<[u8; 32]>> {
    if cost.memory_kib > COST_MAX.memory_kib || cost.passes > COST_MAX.passes {
        return Err(invalid("the file asks for more memory or time than is allowed"));
    }
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32));
    let params = params.map_err(|_| invalid("the file's header makes no sense"))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut key = Zeroizing::new([0; 32]);
    argon2
        .hash_password_into(passphrase.reveal().as_bytes(), salt, key.as_mut())
        .map_err(|_| io::Error::other("the key cannot be derived from the passphrase"))?;
    Ok(key)
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Seals what is written to it.
pub struct SealedWriter<W: Write> {
    out: W,
    stream: Stream,
    pending: Zeroizing<Vec<u8>>,
}

impl<W: Write> SealedWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// When nothing can be written, or the machine has no randomness or memory.
    pub fn create(
        mut out: W,
        content: Content,
        passphrase: &ClearSecret,
        entropy: &dyn Entropy,
    ) -> io::Result<Self> {
        let mut header = [0; HEADER_BYTES];
        let (cost, random) = header.split_at_mut(8);
        let (memory, passes) = cost.split_at_mut(4);
        memory.copy_from_slice(&COST.memory_kib.to_be_bytes());
        passes.copy_from_slice(&COST.passes.to_be_bytes());
        entropy.fill(random).map_err(io::Error::other)?;
        let stream = Stream::new(content, header, passphrase)?;
        out.write_all(&stream.header)?;
        Ok(Self { out, stream, pending: Zeroizing::new(Vec::with_capacity(CHUNK_BYTES)) })
    }

    /// Writes the last chunk. Without this the file counts as cut off.
    ///
    /// # Errors
    ///
    /// When nothing can be written.
    pub fn finish(mut self) -> io::Result<W> {
        let sealed = self.stream.seal(&self.pending, true)?;
        self.out.write_all(&sealed)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk goes out only when more follows: the last one carries the flag.
        if self.pending.len() == CHUNK_BYTES {
            let sealed = self.stream.seal(&self.pending, false)?;
            self.out.write_all(&sealed)?;
            self.pending.clear();
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.pending.len());
        self.pending.extend(bytes.iter().take(taken));
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Opens what [`SealedWriter`] made.
pub struct SealedReader<R: Read> {
    input: R,
    stream: Stream,
    /// Read ahead, to know whether a chunk is the last one.
    ahead: Vec<u8>,
    clear: Zeroizing<Vec<u8>>,
    position: usize,
    finished: bool,
}

impl<R: Read> SealedReader<R> {
    /// Begins to read a file.
    ///
    /// # Errors
    ///
    /// When it is no such file, or the passphrase is wrong.
    pub fn open(mut input: R, content: Content, passphrase: &ClearSecret) -> io::Result<Self> {
        let mut line = vec![0; content.line().len()];
        let read = input.read_exact(&mut line);
        if read.is_err() || line != content.line().as_bytes() {
            return Err(invalid(match content {
                Content::Backup => "this is no backup of Counterfoil that this version can read",
                Content::Keys => "this is no export of keys that this version can read",
            }));
        }
        let mut header = [0; HEADER_BYTES];
        input.read_exact(&mut header).map_err(|_| invalid("the file is cut off"))?;
        let stream = Stream::new(content, header, passphrase)?;
        let mut reader = Self {
            input,
            stream,
            ahead: Vec::new(),
            clear: Zeroizing::default(),
            position: 0,
            finished: false,
        };
        reader.ahead = reader.chunk()?;
        reader.advance()?;
        Ok(reader)
    }

    /// The next sealed chunk, empty at the end.
    fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + TAG_BYTES);
        let limit = (CHUNK_BYTES + TAG_BYTES) as u64;
        self.input.by_ref().take(limit).read_to_end(&mut chunk)?;
        Ok(chunk)
    }

    fn advance(&mut self) -> io::Result<()> {
        let next = self.chunk()?;
        let sealed = std::mem::replace(&mut self.ahead, next);
        self.finished = self.ahead.is_empty();
        self.clear = self.stream.open(&sealed, self.finished)?;
        self.position = 0;
        Ok(())
    }
}

impl<R: Read> Read for SealedReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.position == self.clear.len() && !self.finished {
            self.advance()?;
        }
        let rest = self.clear.get(self.position..).unwrap_or_default();
        let taken = rest.len().min(out.len());
        for (slot, byte) in out.iter_mut().zip(rest) {
            *slot = *byte;
        }
        self.position += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_authority::testing::SeededEntropy;

    use super::*;

    fn passphrase(text: &str) -> ClearSecret {
        ClearSecret::new(text.to_owned())
    }

    fn sealed(clear: &[u8]) -> Vec<u8> {
        let entropy = SeededEntropy::new(1);
        let key = passphrase("correct horse battery");
        let mut writer = SealedWriter::create(Vec::new(), Content::Keys, &key, &entropy).unwrap();
        writer.write_all(clear).unwrap();
        writer.finish().unwrap()
    }

    fn opened(file: &[u8], key: &str) -> io::Result<Vec<u8>> {
        let mut clear = Vec::new();
        SealedReader::open(file, Content::Keys, &passphrase(key))?.read_to_end(&mut clear)?;
        Ok(clear)
    }

    #[test]
    fn what_is_sealed_opens_under_its_passphrase_only() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            let clear: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
            assert_eq!(
                opened(&sealed(&clear), "correct horse battery").unwrap(),
                clear,
                "{length}"
            );
        }
        let wrong = opened(&sealed(b"clear"), "correct horse").unwrap_err().to_string();
        assert_eq!(wrong, "the passphrase is wrong, or the file was altered or cut off");
    }

    #[test]
    fn an_altered_swapped_or_cut_off_file_is_noticed() {
        let clear = vec![7; 2 * CHUNK_BYTES + 10];
        let file = sealed(&clear);
        let start = Content::Keys.line().len() + HEADER_BYTES;
        let chunk = CHUNK_BYTES + TAG_BYTES;
        let fails = |file: &[u8]| opened(file, "correct horse battery").is_err();
        for at in [30, start - 1, start, start + chunk, file.len() - 1] {
            let mut altered = file.clone();
            altered[at] ^= 1;
            assert!(fails(&altered), "byte {at}");
        }
        assert!(fails(&file[..start + chunk]), "cut after the first chunk");
        assert!(fails(&file[..start + 2 * chunk]), "cut before the last chunk");
        assert!(fails(&file[..file.len() - 1]));
        // Who copied half a file has the right passphrase, and reads that, too.
        for end in [start, start + 1, start + chunk - 1] {
            let said = opened(&file[..end], "correct horse battery").unwrap_err().to_string();
            assert!(said.ends_with("altered or cut off"), "{end}: {said}");
        }
        let (head, chunks) = file.split_at(start);
        let swapped = [head, &chunks[chunk..2 * chunk], &chunks[..chunk], &chunks[2 * chunk..]];
        assert!(fails(&swapped.concat()));
        assert!(fails(&[file.as_slice(), b"x"].concat()));
    }

    #[test]
    fn a_file_of_another_sort_or_cost_is_refused() {
        let file = sealed(b"clear");
        let key = passphrase("correct horse battery");
        assert!(SealedReader::open(file.as_slice(), Content::Backup, &key).is_err());
        let mut greedy = file;
        let at = Content::Keys.line().len();
        greedy[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        let refused = opened(&greedy, "correct horse battery").unwrap_err().to_string();
        assert_eq!(refused, "the file asks for more memory or time than is allowed");
    }
}
