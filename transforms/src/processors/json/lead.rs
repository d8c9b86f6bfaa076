//! How members of objects begin, for those who have seen many alike.

/// How a member of an object begins, up to its value: compared at once where many objects begin their members alike.
#[derive(Clone, Debug)]
pub struct Lead {
    bytes: Vec<u8>,
    /// The first of them, and which they are.
    word: u128,
    mask: u128,
}

impl Lead {
    /// Of a member with this key, which has no escapes; the first of an object or a later one.
    pub fn new(key: &[u8], first: bool) -> Self {
        let comma: &[u8] = if first { b"" } else { b"," };
        let bytes = [comma, b"\"", key, b"\":"].concat();
        let (mut word, mut mask) = ([0; 16], [0; 16]);
        for ((byte, word), mask) in bytes.iter().zip(&mut word).zip(&mut mask) {
            (*word, *mask) = (*byte, 0xFF);
        }
        Self { bytes, word: u128::from_le_bytes(word), mask: u128::from_le_bytes(mask) }
    }

    /// Bytes of it.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether `text` begins with it.
    #[inline]
    pub(super) fn begins(&self, text: &[u8]) -> bool {
        match text.first_chunk::<16>() {
            Some(word) if u128::from_le_bytes(*word) & self.mask != self.word => false,
            Some(_) if self.bytes.len() <= 16 => true,
            _ => text.starts_with(&self.bytes),
        }
    }
}
