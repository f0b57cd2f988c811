//! What the parser of `config.toml` says, which is not ours: the messages of `toml` and `serde` that people meet, in Chinese.

use super::Pattern;

/// Only for the configuration: some are single words.
pub(super) const TEXTS: &[Pattern] = &[
    // keys
    ("one of {}", "{}"),
    ("`{}` or `{}`", "`{}`、`{}`"),
    ("duplicate field `{}`", "{} 重复了"),
    // types
    ("invalid type: {}, expected {}", "应为{1}，写的是{0}"),
    ("invalid value: {}, expected {}", "应为{1}，写的是{0}"),
    ("invalid length {}, expected {}", "应为{1}，长度是 {0}"),
    ("integer `{}`", "整数 {}"),
    ("floating point `{}`", "小数 {}"),
    ("boolean `{}`", "布尔值 {}"),
    ("string \"{}\"", "文本 \"{}\""),
    ("map", "配置段"),
    ("sequence", "列表"),
    ("datetime", "日期"),
    ("a string", "文本，要加英文双引号"),
    ("a boolean", "true 或 false"),
    ("a sequence", "列表，例如 [\"a\", \"b\"]"),
    ("struct {}", "配置段"),
];

/// What is no TOML. It goes on with what the parser expected, which helps nobody.
const SYNTAX: &[Pattern] = &[
    ("duplicate key", "重复的配置项"),
    ("key with no value", "缺少“=”和值"),
    ("missing value for key", "“=”后面没有写值"),
    ("missing value", "“=”后面没有写值"),
    ("missing assignment between key-value pairs", "缺少“=”"),
    ("extra `=`", "多了一个“=”"),
    ("extra assignment between key-value pairs", "多了一个“=”"),
    ("unexpected key or value", "一行只能写一个配置项，后面不能有别的内容"),
    ("unexpected content", "这里不能有别的内容"),
    ("invalid unquoted key", "配置项只能用字母、数字、“-”和“_”"),
    ("unquoted keys cannot be empty", "缺少配置项的名字"),
    ("invalid key-value pair", "应写成：配置项 = 值"),
    ("missing table open", "配置段应写成 [名字]"),
    ("unclosed table", "配置段缺少“]”"),
    ("unclosed array table", "配置段缺少“]]”"),
    ("string values must be quoted", "文本要加英文双引号"),
    ("missing opening quote", "缺少开头的英文引号"),
    ("invalid basic string", "文本里有不能用的字符，或缺少结尾的英文双引号"),
    ("invalid literal string", "文本里有不能用的字符，或缺少结尾的英文单引号"),
    ("invalid multi-line basic string", "多行文本没有结束"),
    ("missing escaped value", "“\\”后面的字符不对；路径里的“\\”请写成“\\\\”"),
    ("unclosed array", "列表缺少“]”"),
    ("extra comma in array", "列表里多了一个“,”"),
    ("missing comma between array elements", "列表各项之间缺少“,”"),
    ("unclosed inline table", "缺少“}”"),
    ("missing comma between key-value pairs", "各项之间缺少“,”"),
    ("unexpected leading zero", "数字不能以 0 开头"),
    ("invalid value", "不认识的值"),
    ("carriage return must be followed by newline", "换行符不对：请用 UTF-8 另存一次"),
    ("unexpected `=` in array", "列表里不能有“=”"),
    ("extra comma in inline table", "多了一个“,”"),
    ("missing key for inline table element", "缺少名字"),
    ("invalid inline table element", "应写成：名字 = 值"),
    ("invalid comment character", "注释里有不能用的字符"),
    ("keys cannot be multi-line basic strings", "配置项的名字不能跨行"),
    ("keys cannot be multi-line literal strings", "配置项的名字不能跨行"),
];

/// What is no TOML, in Chinese.
pub(super) fn syntax(text: &str) -> Option<String> {
    let what = text.split_once(", expected ").map_or(text, |(what, _)| what);
    SYNTAX.iter().find(|(english, _)| *english == what).map(|(_, chinese)| (*chinese).to_owned())
}
