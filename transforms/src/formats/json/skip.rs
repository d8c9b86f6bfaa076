//! Reading over values that nobody wants, checking them all the same.

use super::cursor::Cursor;
use super::error::{Fault, RecordError};

impl Cursor<'_> {
    /// Steps over the value that comes next, which stands within `depth` others.
    pub(crate) fn skip(&mut self, depth: usize) -> Result<(), Fault> {
        let mut open = Open::within(depth);
        loop {
            if self.skip_begin(&mut open)? {
                continue;
            }
            // A value has ended: the ones that it closes end with it.
            loop {
                let Some(object) = open.innermost() else { return Ok(()) };
                if self.another(if object { b'}' } else { b']' })? {
                    if object {
                        self.skip_key()?;
                    }
                    break;
                }
                open.close();
            }
        }
    }

    /// Steps over a scalar or over the beginning of an object or array; says whether a value within it comes next.
    #[inline]
    fn skip_begin(&mut self, open: &mut Open) -> Result<bool, Fault> {
        match self.look() {
            b'"' => self.string().map(|_| false),
            b'-' | b'0'..=b'9' => self.number().map(|_| false),
            b't' => self.word("true").map(|_| false),
            b'f' => self.word("false").map(|_| false),
            b'n' => self.word("null").map(|_| false),
            b'{' => {
                open.open(true)?;
                if !self.open(b'}') {
                    open.close();
                    return Ok(false);
                }
                self.skip_key().map(|()| true)
            }
            b'[' => {
                open.open(false)?;
                let some = self.open(b']');
                if !some {
                    open.close();
                }
                Ok(some)
            }
            _ => Err(self.expected("a value")),
        }
    }

    fn skip_key(&mut self) -> Result<(), Fault> {
        if self.look() != b'"' {
            return Err(self.expected("a key"));
        }
        self.key()?;
        self.colon()
    }
}

/// Checks a whole record: any number of JSON values one behind the other.
pub(crate) fn check(record: &[u8]) -> Result<(), Fault> {
    let mut cursor = Cursor::new(record);
    while !cursor.at_end() {
        cursor.skip(0)?;
    }
    Ok(())
}

/// Which of the values that stand open are objects: a bit each.
struct Open {
    objects: [u64; MAX_DEPTH / 64],
    /// How many stand open, and how many of them are somebody else's.
    depth: usize,
    outer: usize,
}

impl Open {
    fn within(depth: usize) -> Self {
        Self { objects: [0; MAX_DEPTH / 64], depth, outer: depth }
    }

    fn open(&mut self, object: bool) -> Result<(), Fault> {
        let Some(word) = self.objects.get_mut(self.depth / 64) else { return Err(too_deep()) };
        let bit = 1 << (self.depth % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
    }

    /// Whether the innermost one is an object; none if all that were opened are closed.
    fn innermost(&self) -> Option<bool> {
        let at = self.depth.checked_sub(1).filter(|at| *at >= self.outer)?;
        self.objects.get(at / 64).map(|word| word >> (at % 64) & 1 == 1)
    }
}

#[cold]
fn too_deep() -> Fault {
    RecordError::malformed_data(format!("The record is nested more than {MAX_DEPTH} deep"))
}

/// How deep values may stand within values.
pub(crate) const MAX_DEPTH: usize = 512;
