//! The one-time passwords of Yubico's keys: 44 characters of modhex, AES-128 inside.
//!
//! Compared here, with the key that was written into the device; no server of anybody else is
//! asked.

use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Modhex: the letters that stand at the same place on every keyboard, in the order of their value.
const MODHEX: &[u8; 16] = b"cbdefghijklnrtuv";
/// Characters of the encrypted part: 16 bytes.
const CIPHER_CHARS: usize = 32;
/// Characters of a public id at most: 16 bytes, Yubico's limit. It is 12 nearly always.
const PUBLIC_CHARS_MAX: usize = 32;
/// The remainder of CRC-16 over a block that ends with its own complement (ISO 13239).
const CRC_RESIDUAL: u16 = 0xf0b8;
/// Bytes of the secret that is kept of a key: 16 of AES, 6 of the private id.
pub const SECRET_BYTES: usize = 22;

/// What a device encrypts, decrypted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The private id.
    pub private_id: [u8; 6],
    /// How often the device was plugged in.
    pub use_counter: u16,
    /// A clock of eighths of a second since then.
    pub timestamp: u32,
    /// How often it was touched since then.
    pub session: u8,
    /// Random bits.
    pub random: u16,
}

impl Block {
    /// The place of this password among all of its device: plugs first, touches second.
    pub fn place(&self) -> i64 {
        i64::from(self.use_counter) << 8 | i64::from(self.session)
    }
}

/// What is written into a device: its AES key and private id.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl std::fmt::Debug for DeviceSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceSecret(..)")
    }
}

impl DeviceSecret {
    /// Key and private id.
    pub fn new(key: &[u8; 16], private_id: &[u8; 6]) -> Self {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        let (front, back) = bytes.split_at_mut(16);
        front.copy_from_slice(key);
        back.copy_from_slice(private_id);
        Self(bytes)
    }

    /// As it is sealed.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// As it was sealed; `None` for anything of another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// The place of a password of this device; `None` if it is none: the wrong key, a checksum
    /// that does not come out, or another private id.
    pub fn place_of(&self, otp: &str) -> Option<i64> {
        let (_, cipher) = split(otp)?;
        let (key, private_id) = self.0.split_at(16);
        let block = decrypted(key, &from_modhex(cipher)?)?;
        let same: bool = block.private_id.ct_eq(private_id).into();
        same.then(|| block.place())
    }
}

/// Bytes of a modhex text; `None` if it is none. In any case, as keyboards may type it.
pub fn from_modhex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let value = |c: u8| MODHEX.iter().position(|m| *m == c.to_ascii_lowercase());
    let digits: Option<Vec<usize>> = text.bytes().map(value).collect();
    let digits = Zeroizing::new(digits.filter(|digits| digits.len() % 2 == 0)?);
    let byte = |pair: &[usize]| match pair {
        [high, low] => u8::try_from(high << 4 | low).ok(),
        _ => None,
    };
    digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

/// The public id and the encrypted part of a password; `None` if it has not the form of one.
pub fn split(otp: &str) -> Option<(&str, &str)> {
    let ids = otp.len().checked_sub(CIPHER_CHARS)?;
    let modhex = otp.bytes().all(|b| MODHEX.contains(&b.to_ascii_lowercase()));
    (modhex && ids <= PUBLIC_CHARS_MAX && ids % 2 == 0).then(|| otp.split_at(ids))
}

/// Whether a text has the form of a password with a public id of usual length.
pub fn looks_like_otp(text: &str) -> bool {
    split(text).is_some()
}

/// Whether a text ends in one, as a PIN with it behind does.
pub fn ends_in_otp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let tail = bytes.len().checked_sub(CIPHER_CHARS).and_then(|begin| bytes.get(begin..));
    tail.is_some_and(|tail| tail.iter().all(|b| MODHEX.contains(&b.to_ascii_lowercase())))
}

/// The block of a cipher text; `None` if its checksum does not come out.
fn decrypted(key: &[u8], cipher: &[u8]) -> Option<Block> {
    let key = DecryptingKey::ecb(UnboundCipherKey::new(&AES_128, key).ok()?).ok()?;
    let mut block = Zeroizing::new(<[u8; 16]>::try_from(cipher).ok()?);
    key.decrypt(block.as_mut_slice(), DecryptionContext::None).ok()?;
    let (private_id, rest) = block.split_first_chunk::<6>()?;
    let [use0, use1, time0, time1, time2, session, random0, random1, ..] = *rest else {
        return None;
    };
    (crc(block.as_slice()) == CRC_RESIDUAL).then_some(Block {
        private_id: *private_id,
        use_counter: u16::from_le_bytes([use0, use1]),
        timestamp: u32::from_le_bytes([time0, time1, time2, 0]),
        session,
        random: u16::from_le_bytes([random0, random1]),
    })
}

/// CRC-16 as ISO 13239 has it, without the final complement.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            let shifted = crc >> 1;
            if crc & 1 == 1 { shifted ^ 0x8408 } else { shifted }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = [
        0xec, 0xde, 0x18, 0xdb, 0xe7, 0x6f, 0xbd, 0x0c, 0x33, 0x33, 0x0f, 0x1c, 0x35, 0x48, 0x71,
        0xdb,
    ];
    const PRIVATE: [u8; 6] = [0x87, 0x92, 0xeb, 0xfe, 0x26, 0xcc];
    const OTP: &str = "dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh";

    /// The pair that Yubico's documentation shows.
    #[test]
    fn f1_a_password_opens_to_what_its_device_put_in() {
        let (public, cipher) = split(OTP).unwrap();
        assert_eq!(public, "dteffuje");
        let block = decrypted(&KEY, &from_modhex(cipher).unwrap()).unwrap();
        let expected = Block {
            private_id: PRIVATE,
            use_counter: 19,
            timestamp: 49_712,
            session: 17,
            random: 0xc89f_u16.swap_bytes(),
        };
        assert_eq!(block.private_id, expected.private_id);
        assert_eq!((block.use_counter, block.session), (19, 17));
        assert_eq!(block.timestamp, expected.timestamp);
        assert!([0xc89f, 0x9fc8].contains(&block.random));
        assert_eq!(block.place(), (19 << 8) + 17);
        let device = DeviceSecret::new(&KEY, &PRIVATE);
        assert_eq!(device.place_of(OTP), Some((19 << 8) + 17));
        assert_eq!(device.place_of(&OTP.to_uppercase()), Some((19 << 8) + 17));
        assert_eq!(DeviceSecret::from_bytes(device.bytes()), Some(device));
    }

    #[test]
    fn what_is_not_of_this_device_has_no_place() {
        let device = DeviceSecret::new(&KEY, &PRIVATE);
        let mut other = KEY;
        other[0] ^= 1;
        assert_eq!(DeviceSecret::new(&other, &PRIVATE).place_of(OTP), None);
        assert_eq!(DeviceSecret::new(&KEY, &[0; 6]).place_of(OTP), None);
        // One character more, less, or another one.
        assert_eq!(device.place_of(&OTP[1..]), None);
        assert_eq!(device.place_of(&format!("{OTP}c")), None);
        assert_eq!(device.place_of(&OTP.replace("gh", "gg")), None);
        assert_eq!(device.place_of(&OTP.replace("gh", "gx")), None);
        assert_eq!(device.place_of(""), None);
        assert!(!looks_like_otp("cccccccccccccccccccccccccccccc"));
        for text in [OTP, &*format!("1234{OTP}"), &OTP[4..]] {
            assert!(ends_in_otp(text), "{text}");
        }
        for text in ["", "ccc", &*format!("{OTP}1"), &OTP[OTP.len() - 31..]] {
            assert!(!ends_in_otp(text), "{text}");
        }
    }

    #[test]
    fn the_plug_counts_before_the_touch() {
        let block = |use_counter, session| Block {
            private_id: PRIVATE,
            use_counter,
            timestamp: 0,
            session,
            random: 0,
        };
        assert!(block(20, 0).place() > block(19, 255).place());
        assert!(block(19, 18).place() > block(19, 17).place());
    }

    #[test]
    fn modhex_is_sixteen_letters() {
        assert_eq!(
            from_modhex("cbdefghijklnrtuv").unwrap().as_slice(),
            [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]
        );
        assert_eq!(from_modhex("cbd"), None);
        assert_eq!(from_modhex("aa"), None);
    }
}
