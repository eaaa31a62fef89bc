//! The object file itself: stripping it, and telling what is in it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use object::{
    Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind,
    build::elf::{Builder, SectionData},
    elf,
    read::elf::ElfFile64,
};

/// A BPF instruction's size in bytes (a 64-bit load counts as two).
const INSTRUCTION_BYTES: u64 = 8;

/// Removes what the loader has no use for: debug information and BTF.
///
/// BTF would serve CO-RE relocations (the programs have none: their offsets are load-time constants) and the line
/// numbers in a verifier log. It is a quarter of the object, and holds paths and the compiler's version.
/// Local symbols stay: aya finds the functions in `.text` by them.
///
/// # Errors
/// If the bytes are no ELF object.
pub fn strip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(bytes).context("the linker's output is no ELF object")?;
    for section in &mut builder.sections {
        let name = section.name.to_string();
        let about = name.strip_prefix(".rel").unwrap_or(&name);
        section.delete = about.starts_with(".debug_") || about.starts_with(".BTF");
    }
    builder.delete_orphans();
    // LLVM keeps the names of sections among those of symbols; the writer wants them apart.
    if !builder.sections.iter().any(|section| matches!(section.data, SectionData::SectionString)) {
        let names = builder.sections.add();
        names.name = b".shstrtab".as_slice().into();
        names.sh_type = elf::SHT_STRTAB;
        names.sh_addralign = 1;
        names.data = SectionData::SectionString;
    }
    let mut stripped = Vec::new();
    builder.write(&mut stripped).context("cannot write the stripped object")?;
    Ok(stripped)
}

/// What a loader sees in an object: what must be the same whichever compiler built it.
#[derive(Debug, PartialEq, Eq)]
pub struct Interface {
    /// Program name to section, `tp_btf/tcp_retransmit_skb`.
    programs: BTreeMap<String, String>,
    /// Maps, globals and the licence: name to section and initial bytes.
    data: BTreeMap<String, (String, Vec<u8>)>,
}

/// An object, read.
#[derive(Debug)]
pub struct Contents {
    /// What a loader sees.
    pub interface: Interface,
    /// All code, in instructions.
    pub instructions: u64,
}

impl Contents {
    /// Reads an object.
    ///
    /// # Errors
    /// If it is not an ELF object, or without a program.
    pub fn read(bytes: &[u8]) -> Result<Contents> {
        let file = ElfFile64::<Endianness>::parse(bytes).context("this is no ELF object")?;
        let mut interface = Interface { programs: BTreeMap::new(), data: BTreeMap::new() };
        for symbol in file.symbols().filter(ObjectSymbol::is_global) {
            let Some(index) = symbol.section_index() else { continue };
            let section = file.section_by_index(index)?;
            let (name, section_name) = (symbol.name()?.to_owned(), section.name()?.to_owned());
            match symbol.kind() {
                // Functions in `.text` are the compiler's own (memcpy and its kin).
                SymbolKind::Text if section_name != ".text" => {
                    interface.programs.insert(name, section_name);
                }
                SymbolKind::Data => {
                    let value = section.data_range(symbol.address(), symbol.size())?.unwrap_or_default();
                    interface.data.insert(name, (section_name, value.to_owned()));
                }
                _ => {}
            }
        }
        if interface.programs.is_empty() {
            bail!("the object has no program");
        }
        let code = file.sections().filter(|section| section.kind() == object::SectionKind::Text);
        Ok(Contents { interface, instructions: code.map(|section| section.size() / INSTRUCTION_BYTES).sum() })
    }
}

impl Interface {
    /// What is not the same in `other`, one line a difference.
    pub fn differences(&self, other: &Interface) -> Vec<String> {
        let mut lines = compare("program", &self.programs, &other.programs);
        lines.extend(compare("map or global", &self.data, &other.data));
        lines
    }

    /// The programs' names.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        self.programs.keys().map(String::as_str)
    }

    /// Programs, then maps and globals.
    pub fn counts(&self) -> (usize, usize) {
        (self.programs.len(), self.data.len())
    }
}

fn compare<T: PartialEq>(
    what: &str,
    ours: &BTreeMap<String, T>,
    theirs: &BTreeMap<String, T>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in ours {
        match theirs.get(name) {
            None => lines.push(format!("{what} {name} is only in the committed object")),
            Some(other) if other != value => lines.push(format!("{what} {name} is not the same")),
            Some(_) => {}
        }
    }
    lines.extend(
        theirs
            .keys()
            .filter(|name| !ours.contains_key(*name))
            .map(|name| format!("{what} {name} is only in the rebuilt object")),
    );
    lines
}
