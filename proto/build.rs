//! Compiles the `.proto` files without `protoc`, and derives the JSON form of what readers get: see `src/json.rs`.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use protox::prost_reflect::prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

/// The messages of this file, and those in them, get a JSON form.
const OUTPUTS: &str = "tributary/v1/output.proto";
const PACKAGE: &str = ".tributary.v1.";
/// Fields with higher numbers were added in later versions: earlier JSON lacks them, so they have defaults.
const FIRST_FIELDS: [(&str, i32); 6] =
    [("CreditUpdate", 22), ("TouchpointRow", 26), ("MilestoneRow", 23), ("Profile", 10), ("Account", 11), ("Spend", 8)];

fn main() -> Result<(), Box<dyn Error>> {
    const FILES: [&str; 5] = ["event", "identity", "attributor", "output", "generation"];
    println!("cargo:rerun-if-changed=tributary");
    println!("cargo:rerun-if-changed=build.rs");
    let paths: Vec<String> = FILES.iter().map(|name| format!("tributary/v1/{name}.proto")).collect();
    let descriptors = protox::compile(&paths, ["."])?;
    let outputs = descriptors.file.iter().filter(|file| file.name() == OUTPUTS).flat_map(|file| &file.message_type);
    let mut waiting: Vec<&str> = outputs.map(|message| message.name()).collect();
    let (mut messages, mut enums) = (BTreeSet::new(), BTreeSet::new());
    let mut config = prost_build::Config::new();
    // Written by hand, because copies share their text: see `src/identifier.rs`.
    config.extern_path(format!("{PACKAGE}Identifier"), "crate::identifier::Identifier");
    // Ordered maps, so that a message has one encoding.
    config.btree_map(["."]);
    while let Some(name) = waiting.pop() {
        let message = descriptors.file.iter().flat_map(|file| &file.message_type).find(|message| message.name() == name);
        let Some(message) = message.filter(|_| messages.insert(name)) else { continue };
        config.type_attribute(format!("{PACKAGE}{name}"), "#[derive(serde::Serialize, serde::Deserialize)]");
        let first = FIRST_FIELDS.into_iter().find(|(of, _)| *of == name).map_or(i32::MAX, |(_, first)| first);
        for field in &message.field {
            if field.number() > first {
                config.field_attribute(format!("{PACKAGE}{name}.{}", field.name()), "#[serde(default)]");
            }
            if is_map(field, message) {
                // Most rows have no dimensions: in JSON the fields are then left out.
                let attribute = "#[serde(skip_serializing_if = \"std::collections::BTreeMap::is_empty\")]";
                config.field_attribute(format!("{PACKAGE}{name}.{}", field.name()), attribute);
                continue;
            }
            let inner = field.type_name().trim_start_matches(PACKAGE);
            let form = match field.r#type().as_str_name() {
                "TYPE_INT64" | "TYPE_UINT64" => "integer",
                "TYPE_BYTES" => "base64",
                "TYPE_ENUM" => "name_of",
                _ => {
                    waiting.extend((!inner.is_empty()).then_some(inner));
                    continue;
                }
            };
            // The type of an enum's field is i32, which does not name the enum.
            let of = if form == "name_of" { format!("::<crate::{inner}, _>") } else { String::new() };
            enums.extend((form == "name_of").then_some(inner));
            config.field_attribute(format!("{PACKAGE}{name}.{}", field.name()), as_json(form, &of));
        }
    }
    let declared = descriptors.file.iter().flat_map(|file| &file.enum_type).filter(|found| enums.contains(found.name()));
    let names = declared.map(|found| named(found.name(), found.value.iter().map(|value| (value.number(), value.name()))));
    let mut texts: String = names.collect();
    for file in &descriptors.file {
        texts += &described(file, &messages)?;
    }
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("names.rs"), texts)?;
    config.compile_fds(descriptors)?;
    Ok(())
}

/// The attribute that makes serde write a field by a module of `src/json.rs`.
fn as_json(module: &str, of: &str) -> String {
    let by = |way: &str| format!("{way}_with = \"crate::json::{module}::{way}{of}\"");
    format!("#[serde({}, {})]", by("serialize"), by("deserialize"))
}

/// Implements `Named` for an enum: `late_touch` for `REASON_LATE_TOUCH`.
fn named<'a>(of: &str, values: impl Iterator<Item = (i32, &'a str)>) -> String {
    let prefix = format!("{}_", of.to_uppercase());
    let short = |name: &str| name.trim_start_matches(&prefix).to_lowercase();
    let arms: String = values.map(|(number, name)| format!("{number} => {:?}, ", short(name))).collect();
    format!(
        "impl crate::json::Named for {of} {{ fn name(self) -> &'static str {{ match i32::from(self) {{ {arms} _ => \"\" }} }} }}\n"
    )
}

/// Implements the `Described` of `src/dictionary.rs` for the messages of a file.
fn described(file: &FileDescriptorProto, messages: &BTreeSet<&str>) -> Result<String, String> {
    let mut text = String::new();
    for (at, message) in (0..).zip(&file.message_type).filter(|(_, message)| messages.contains(message.name())) {
        let mut fields = String::new();
        for (number, field) in (0..).zip(&message.field) {
            let is_map = is_map(field, message);
            let form = if is_map { MAP.to_owned() } else { form(field, comment(file, [4, at, 2, number]))? };
            let repeated = !is_map && field.label().as_str_name() == "LABEL_REPEATED";
            fields += &format!("crate::dictionary::Field {{ name: {:?}, form: {form}, repeated: {repeated} }}, ", field.name());
        }
        text += &format!(
            "impl crate::dictionary::Described for {} {{ const NAME: &'static str = {:?}; const INDEX: usize = {at}; \
             const FIELDS: &'static [crate::dictionary::Field] = &[{fields}]; }}\n",
            message.name(),
            message.name()
        );
    }
    Ok(text)
}

/// The form of a map of texts.
const MAP: &str = "crate::dictionary::Form::Map";

/// Whether a field is a map. To the compiler a map is a repeated message that it generates; all maps here are of texts.
fn is_map(field: &FieldDescriptorProto, of: &DescriptorProto) -> bool {
    let entry = field.type_name().rsplit('.').next().unwrap_or_default();
    let is_entry = |inner: &&DescriptorProto| inner.options.as_ref().is_some_and(|options| options.map_entry());
    of.nested_type.iter().filter(is_entry).any(|inner| inner.name() == entry)
}

/// The comment on a field in its file.
fn comment(file: &FileDescriptorProto, path: [i32; 4]) -> &str {
    let mut locations = file.source_code_info.iter().flat_map(|info| &info.location);
    locations.find(|location| location.path == path).map_or("", |location| location.leading_comments())
}

/// The form of a field: from its type; for times and days, from its comment.
fn form(field: &FieldDescriptorProto, comment: &str) -> Result<String, String> {
    let form = match field.r#type().as_str_name() {
        "TYPE_INT64" if comment.contains("milliseconds since 1970") => "Time",
        "TYPE_STRING" if comment.contains("YYYY-MM-DD") => "Day",
        "TYPE_INT64" => "Int64",
        "TYPE_UINT64" => "Uint64",
        "TYPE_INT32" => "Int32",
        "TYPE_UINT32" => "Uint32",
        "TYPE_BOOL" => "Flag",
        "TYPE_STRING" | "TYPE_ENUM" => "Text",
        "TYPE_BYTES" => "Bytes",
        "TYPE_MESSAGE" => {
            let inner = field.type_name().trim_start_matches(PACKAGE);
            return Ok(format!("crate::dictionary::Form::Message(<{inner} as crate::dictionary::Described>::FIELDS)"));
        }
        other => return Err(format!("{}: rows hold no {other}", field.name())),
    };
    Ok(format!("crate::dictionary::Form::{form}"))
}
