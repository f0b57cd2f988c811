//! Natural order of file names: `2.jpg` before `10.jpg`.

use std::cmp::Ordering;

/// Compares byte strings with runs of digits taken as numbers; names that read the same are compared by bytes.
pub(crate) fn natural(left: &[u8], right: &[u8]) -> Ordering {
    by_pieces(left, right).then_with(|| left.cmp(right))
}

fn by_pieces(mut left: &[u8], mut right: &[u8]) -> Ordering {
    loop {
        let (a, b) = (take_piece(&mut left), take_piece(&mut right));
        let order = match (a.first(), b.first()) {
            (None, None) => return Ordering::Equal,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => by_number(a, b),
            _ => a.cmp(b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// The longest run of digits, or one other byte.
fn take_piece<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (piece, tail) = rest.split_at(digits.max(1).min(rest.len()));
    *rest = tail;
    piece
}

/// Numbers of any length: more digits (after leading zeros) is larger.
fn by_number(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (without_zeros(a), without_zeros(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_count_as_numbers() {
        let mut names = ["10.jpg", "2.jpg", "b1", "a10", "a9", "1.jpg", "002.jpg"];
        names.sort_by(|a, b| natural(a.as_bytes(), b.as_bytes()));
        assert_eq!(names, ["1.jpg", "002.jpg", "2.jpg", "10.jpg", "a9", "a10", "b1"]);
    }

    fn name() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![b'0'..=b'3', Just(b'a'), any::<u8>()], 0..8)
    }

    proptest! {
        #[test]
        fn it_is_a_total_order(a in name(), b in name(), c in name()) {
            prop_assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
            prop_assert_eq!(natural(&a, &b).is_eq(), a == b);
            if natural(&a, &b).is_le() && natural(&b, &c).is_le() {
                prop_assert!(natural(&a, &c).is_le());
            }
        }
    }
}
