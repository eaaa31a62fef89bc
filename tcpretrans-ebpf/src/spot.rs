//! Stand-ins for offsets: the programs are compiled with loads at offsets that no kernel structure has, and the
//! loader puts the running kernel's own in their place, one instruction each.
//!
//! An offset that a program reads from a global at each event costs four instructions and a cache line; one that
//! stands in the instruction costs nothing. (This is what CO-RE relocations are to C; Rust emits none.)

/// Which table a [`Spot`] belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// [`SNAPSHOT_FIELDS`](crate::fields::SNAPSHOT_FIELDS)
    Snapshot,
    /// [`WALK_FIELDS`](crate::fields::WALK_FIELDS)
    Walk,
}

/// A row of a table, as a load instruction names it until the program is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The table.
    pub table: Table,
    /// The row in it.
    pub row: usize,
}

/// Beyond everything that the programs address: records, map values, the stack, prototypes' arguments.
const FIRST: usize = 0x4000;
const FIRST_WALK: usize = 0x6000;
const END: usize = 0x8000;
/// A wide field is read piecewise: so many bytes from its beginning.
const STRIDE: usize = 16;

impl Spot {
    /// The offset that stands in for this row's.
    #[inline(always)]
    pub const fn stand_in(self) -> usize {
        match self.table {
            Table::Snapshot => FIRST + self.row * STRIDE,
            Table::Walk => FIRST_WALK + self.row * STRIDE,
        }
    }

    /// What an instruction's offset stands in for, and the bytes beyond the field's beginning; `None`: it is itself.
    pub const fn of_stand_in(offset: i16) -> Option<(Spot, u16)> {
        if (offset as i32) < FIRST as i32 {
            return None;
        }
        let (table, from) =
            if offset as usize >= FIRST_WALK { (Table::Walk, FIRST_WALK) } else { (Table::Snapshot, FIRST) };
        let distance = offset as usize - from;
        Some((Spot { table, row: distance / STRIDE }, (distance % STRIDE) as u16))
    }
}

const _: () = assert!(crate::fields::SNAPSHOT_FIELDS.len() * STRIDE <= FIRST_WALK - FIRST);
const _: () = assert!(crate::fields::WALK_FIELDS.len() * STRIDE <= END - FIRST_WALK);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stand_in_leads_back() {
        let tables = [
            (Table::Snapshot, crate::fields::SNAPSHOT_FIELDS.len()),
            (Table::Walk, crate::fields::WALK_FIELDS.len()),
        ];
        for (table, rows) in tables {
            for row in 0..rows {
                let spot = Spot { table, row };
                for beyond in [0, 4, 8, 12] {
                    let offset = i16::try_from(spot.stand_in() + beyond).expect("fits an instruction");
                    assert_eq!(Spot::of_stand_in(offset), Some((spot, beyond as u16)));
                }
            }
        }
        for ordinary in [-512, -8, 0, 464, 0x2000, 0x3fff] {
            assert_eq!(Spot::of_stand_in(ordinary), None, "{ordinary}");
        }
    }
}
