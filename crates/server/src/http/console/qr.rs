//! QR codes as markup inside a page: a picture at an address of its own would be a second request
//! for a secret.

use std::fmt::Write as _;

use qrcode::{Color, QrCode};

/// Light modules around a code, which readers need (ISO/IEC 18004 section 6.3.8).
const QUIET: usize = 4;

/// A code to draw: squares of one unit.
pub(super) struct Picture {
    /// How wide and high it is, with the light frame around it.
    pub(super) side: usize,
    /// The dark modules, as the `d` of an SVG path.
    pub(super) path: String,
}

impl Picture {
    /// The code of a text; `None` for one that no code holds (more than 2953 bytes).
    pub(super) fn of(text: &str) -> Option<Self> {
        let code = QrCode::new(text).ok()?;
        let width = code.width();
        let colors = code.to_colors();
        let mut path = String::new();
        for (y, row) in colors.chunks(width).enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|one, other| one == other) {
                if run.first() == Some(&Color::Dark) {
                    let (left, top, length) = (x + QUIET, y + QUIET, run.len());
                    // Writing into a string cannot fail.
                    let _ = write!(path, "M{left} {top}h{length}v1h-{length}z");
                }
                x += run.len();
            }
        }
        Some(Self { side: width + 2 * QUIET, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_module_by_module() {
        let picture =
            Picture::of("cflp_0123456789ABabcdefghijklmnopqrstuvwxyz012345abcdef").unwrap();
        let code = QrCode::new("cflp_0123456789ABabcdefghijklmnopqrstuvwxyz012345abcdef").unwrap();
        let dark = code.to_colors().iter().filter(|color| **color == Color::Dark).count();
        let drawn: usize = picture
            .path
            .split('M')
            .skip(1)
            .map(|run| run.split(['h', 'v']).nth(1).unwrap().parse::<usize>().unwrap())
            .sum();
        assert_eq!((drawn, picture.side), (dark, code.width() + 8));
        // The corner of the first finder pattern.
        assert!(picture.path.starts_with("M4 4h7v1h-7z"), "{}", picture.path);
    }

    #[test]
    fn what_no_code_holds_is_not_drawn() {
        assert!(Picture::of(&"x".repeat(3000)).is_none());
    }
}
