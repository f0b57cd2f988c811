//! Files that tell what they are by a few bytes at a fixed place.

use super::Other;

const AS_JPEG: &str = "save it as a JPEG";
const EXPORT: &str = "export it as a JPEG or PNG";
const PICTURE_OF_IT: &str = "save its pages as pictures";

#[rustfmt::skip]
const MAGIC: &[(usize, &[u8], Other)] = &[
    (8, b"CR\x02", Other::with("a raw picture of a Canon camera (CR2)", AS_JPEG)),
    (0, b"II*\0", Other::with("a TIFF picture", AS_JPEG)),
    (0, b"MM\0*", Other::with("a TIFF picture", AS_JPEG)),
    (0, b"II+\0", Other::with("a TIFF picture (BigTIFF)", AS_JPEG)),
    (0, b"MM\0+", Other::with("a TIFF picture (BigTIFF)", AS_JPEG)),
    (0, b"IIRO", Other::with("a raw picture of an Olympus camera", AS_JPEG)),
    (0, b"IIU\0", Other::with("a raw picture of a Panasonic camera", AS_JPEG)),
    (0, b"FUJIFILM", Other::with("a raw picture of a Fujifilm camera", AS_JPEG)),
    (0, b"FOVb", Other::with("a raw picture of a Sigma camera", AS_JPEG)),
    (0, b"8BPS", Other::with("a Photoshop file", EXPORT)),
    (0, b"8BPB", Other::with("a Photoshop file", EXPORT)),
    (0, b"gimp xcf", Other::with("a GIMP file", EXPORT)),
    (0, b"\xc5\xd0\xd3\xc6", Other::with("an EPS drawing", EXPORT)),
    (0, b"%!", Other::with("an EPS or PostScript drawing", EXPORT)),
    (40, b" EMF", Other::with("a Windows drawing (EMF)", EXPORT)),
    (0, b"\xd7\xcd\xc6\x9a", Other::with("a Windows drawing (WMF)", EXPORT)),
    (0, b"\x01\0\x09\0\0\x03", Other::with("a Windows drawing (WMF)", EXPORT)),
    (0, b"\0\0\x01\0", Other::new("an icon")),
    (0, b"\0\0\x02\0", Other::new("a cursor")),
    (0, b"icns", Other::new("an icon of macOS")),
    (0, b"\xff\x0a", Other::with("a JPEG XL picture", AS_JPEG)),
    (0, b"\0\0\0\x0cJXL ", Other::with("a JPEG XL picture", AS_JPEG)),
    (0, b"\0\0\0\x0cjP", Other::with("a JPEG 2000 picture", AS_JPEG)),
    (0, b"\xff\x4f\xff\x51", Other::with("a JPEG 2000 picture (codestream)", AS_JPEG)),
    (0, b"II\xbc", Other::with("a JPEG XR picture", AS_JPEG)),
    (0, b"BPG\xfb", Other::with("a BPG picture", AS_JPEG)),
    (0, b"FLIF", Other::with("a FLIF picture", AS_JPEG)),
    (0, b"qoif", Other::with("a QOI picture", AS_JPEG)),
    (0, b"DDS ", Other::with("a DDS picture", AS_JPEG)),
    (0, b"\x8aMNG", Other::with("an MNG animation", AS_JPEG)),
    (0, b"\x8bJNG", Other::with("a JNG picture", AS_JPEG)),
    (0, b"\x01\xda", Other::with("an SGI picture", AS_JPEG)),
    (0, b"\x59\xa6\x6a\x95", Other::with("a Sun raster picture", AS_JPEG)),
    (0, b"v/1\x01", Other::with("an OpenEXR picture", AS_JPEG)),
    (0, b"#?RADIANCE", Other::with("a Radiance HDR picture", AS_JPEG)),
    (0, b"\x0a\x05\x01", Other::with("a PCX picture", AS_JPEG)),
    (0, b"\x0a\x03\x01", Other::with("a PCX picture", AS_JPEG)),
    (0, b"\xb1\x68\xde\x3a", Other::with("a DCX picture", AS_JPEG)),
    (0, b"SIMPLE  =", Other::with("a FITS picture", AS_JPEG)),
    (0, b"\x80\xe8\0\0", Other::with("a PIXAR picture", AS_JPEG)),
    (0, b"AT&TFORM", Other::with("a DjVu document", PICTURE_OF_IT)),
    (128, b"DICM", Other::with("a medical picture (DICOM)", AS_JPEG)),
    (4, b"\x11\xaf", Other::new("an animation (FLI)")),
    (4, b"\x12\xaf", Other::new("an animation (FLC)")),
    (0, b"GRIB", Other::new("a weather file (GRIB)")),
    (0, b"\x89HDF", Other::new("a data file (HDF5)")),
    (0, b"BLP", Other::with("a BLP picture", AS_JPEG)),
    (0, b"FTEX", Other::with("an FTEX picture", AS_JPEG)),
    (0, b"DanM", Other::with("a Windows Paint picture (MSP)", AS_JPEG)),
    (0, b"LinS", Other::with("a Windows Paint picture (MSP)", AS_JPEG)),
    (0, b"Image type:", Other::with("an IM picture", AS_JPEG)),
    (0, b"PGF", Other::with("a PGF picture", AS_JPEG)),
    (0, b"\xffWPC", Other::with("a WordPerfect drawing", EXPORT)),
    (522, b"\0\x11\x02\xff", Other::with("a PICT picture of a Mac", AS_JPEG)),
    (2048, b"PCD_", Other::with("a Photo CD picture", AS_JPEG)),
    (0, b"\x28\0\0\0", Other::with("a BMP picture without its header (DIB)", AS_JPEG)),
    (6, b"HEAPCCDR", Other::with("a raw picture of a Canon camera (CRW)", AS_JPEG)),
    (0, b"\0MRM", Other::with("a raw picture of a Minolta camera", AS_JPEG)),
    (0, b"AC10", Other::with("an AutoCAD drawing", EXPORT)),
    (0, b"PK\x03\x04", Other::new("a ZIP archive or an Office document")),
    (0, b"PK\x05\x06", Other::new("an empty ZIP archive")),
    (0, b"Rar!", Other::new("a RAR archive")),
    (0, b"7z\xbc\xaf", Other::new("a 7-Zip archive")),
    (0, b"\x1f\x8b", Other::new("a gzip archive")),
    (0, b"BZh", Other::new("a bzip2 archive")),
    (0, b"\xfd7zXZ", Other::new("an xz archive")),
    (0, b"\x28\xb5\x2f\xfd", Other::new("a Zstandard archive")),
    (257, b"ustar", Other::new("a tar archive")),
    (0, b"\xd0\xcf\x11\xe0", Other::new("an old Office document")),
    (0, b"{\\rtf", Other::new("an RTF document")),
    (0, b"\x4c\0\0\0\x01\x14\x02\0", Other::with("a Windows shortcut (.lnk)", "copy the picture itself")),
    (0, b"book\0\0\0\0mark", Other::with("a macOS alias", "copy the picture itself")),
    (0, b"\0\x05\x16\x07", Other::new("a side file of macOS (AppleDouble)")),
    (0, b"\0\x05\x16\0", Other::new("a side file of macOS (AppleSingle)")),
    (0, b"\0\0\0\x01Bud1", Other::new("a side file of macOS (.DS_Store)")),
    (0, b"SQLite format 3", Other::new("a database (SQLite)")),
    (0, b"MZ", Other::new("a Windows program")),
    (0, b"\x7fELF", Other::new("a program")),
    (0, b"\xca\xfe\xba\xbe", Other::new("a program")),
    (0, b"\xcf\xfa\xed\xfe", Other::new("a program")),
    (0, b"\x1aE\xdf\xa3", Other::new("a video (Matroska or WebM)")),
    (0, b"\0\0\x01\xba", Other::new("a video (MPEG)")),
    (0, b"\0\0\x01\xb3", Other::new("a video (MPEG)")),
    (0, b"\x30\x26\xb2\x75", Other::new("a sound or video file (WMA, WMV)")),
    (0, b"FLV\x01", Other::new("a video (Flash)")),
    (0, b"FWS", Other::new("a Flash animation")),
    (0, b"CWS", Other::new("a Flash animation")),
    (0, b"ID3", Other::new("a sound file (MP3)")),
    (0, b"\xff\xfb", Other::new("a sound file (MP3)")),
    (0, b"\xff\xf3", Other::new("a sound file (MP3)")),
    (0, b"\xff\xfa", Other::new("a sound file (MP3)")),
    (0, b"\xff\xf1", Other::new("a sound file (AAC)")),
    (0, b"OggS", Other::new("a sound or video file (Ogg)")),
    (0, b"fLaC", Other::new("a sound file (FLAC)")),
    (0, b"MThd", Other::new("a sound file (MIDI)")),
    (0, b"#!AMR", Other::new("a sound file (AMR)")),
    (0, b"FORM", Other::new("a sound or picture file (IFF)")),
    (0, b"true\0", Other::new("a font")),
    (0, b"FRM8", Other::new("a sound file (DSD)")),
    (0, b"DSD ", Other::new("a sound file (DSD)")),
    (0, b"\x60\xea", Other::new("an ARJ archive")),
    (0, b"wOFF", Other::new("a font")),
    (0, b"wOF2", Other::new("a font")),
    (0, b"OTTO", Other::new("a font")),
    (0, b"\0\x01\0\0\0", Other::new("a font")),
];

pub(super) fn name(head: &[u8]) -> Option<Other> {
    // readers of PDF look for its start in so many bytes
    if memchr::memmem::find(&head[..head.len().min(1024)], b"%PDF-").is_some() || head.starts_with(b"%PDF") {
        return Some(Other::with("a PDF document", PICTURE_OF_IT));
    }
    if is_portable_map(head) {
        return Some(Other::with("a portable bitmap (PBM, PGM, PPM)", AS_JPEG));
    }
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    MAGIC.iter().find(|(offset, magic, _)| at(*offset, magic)).map(|(.., other)| *other)
}

/// `P1` to `P7`, then a blank.
fn is_portable_map(head: &[u8]) -> bool {
    matches!(head, [b'P', b'1'..=b'7' | b'F' | b'f', blank, ..] if blank.is_ascii_whitespace())
}
