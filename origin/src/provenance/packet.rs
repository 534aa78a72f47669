//! The XMP packet: what it says, and how it is read back.

use darkroom_shared::recipe::Recipe;

/// IPTC's name for what a trained model makes.
pub const DIGITAL_SOURCE_TYPE: &str =
    "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";

const RECIPE: &str = " darkroom:recipe=\"";
/// As XML wants them in an attribute; the first one first, and last on the way back.
const ESCAPES: [(&str, &str); 4] = [
    ("&", "&amp;"),
    ("<", "&lt;"),
    (">", "&gt;"),
    ("\"", "&quot;"),
];

/// The packet of a picture, with its recipe's canonical JSON where there is one to be told. JSON
/// escapes line breaks and tabs itself, so that an attribute keeps it as it is.
pub(crate) fn packet(recipe: Option<&Recipe>) -> Result<String, serde_json::Error> {
    let recipe = match recipe {
        Some(recipe) => {
            let json = serde_json_canonicalizer::to_string(recipe)?;
            let escaped = ESCAPES
                .iter()
                .fold(json, |text, (plain, escape)| text.replace(plain, escape));
            format!(" xmlns:darkroom=\"urn:darkroom:provenance\"{RECIPE}{escaped}\"")
        }
        None => String::new(),
    };
    Ok(format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\
         <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\
         <rdf:Description rdf:about=\"\" \
         xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\" \
         Iptc4xmpExt:DigitalSourceType=\"{DIGITAL_SOURCE_TYPE}\"{recipe}/>\
         </rdf:RDF></x:xmpmeta><?xpacket end=\"r\"?>"
    ))
}

/// The recipe's JSON in a packet that [`packet`] wrote.
pub(super) fn recipe(xmp: &str) -> Option<String> {
    let (_, rest) = xmp.split_once(RECIPE)?;
    let (escaped, _) = rest.split_once('"')?;
    let escapes = ESCAPES.iter().rev();
    Some(escapes.fold(escaped.to_owned(), |text, (plain, escape)| {
        text.replace(escape, plain)
    }))
}
