//! What is wrong with the configuration and the secrets, and what ends a command before it begins.

use super::Pattern;

/// A text of ours and the same in Chinese; `{}` stands for a value.
pub(super) const TEXTS: &[Pattern] = &[
    // the file
    (
        "there is no such file: name one with --config, or put config.toml here or in /etc/brandpost",
        "没有这个文件：请用 --config 指定，或把 config.toml 放在当前目录或 /etc/brandpost",
    ),
    ("cannot be read: {}", "无法读取：{}"),
    ("is no UTF-8 but {}: save it as UTF-8", "不是 UTF-8，而是 {}：请另存为 UTF-8"),
    ("GBK or another encoding (line {})", "GBK 或其他编码（第 {} 行）"),
    (
        "root does not obey it, because other users can decide what it says (it, and the folder that it is in, must belong to root and be writable for nobody else): go to another folder, or name the file that you mean with --config",
        "其他用户能改它的内容，root 不会采用（文件和所在目录都必须属于 root，且别人不可写）：请换一个目录，或用 --config 指定文件",
    ),
    ("root does not obey it, because other users can write it: {}", "其他用户能改它，root 不会采用：{}"),
    (
        "run `chown root {}` and `chmod go-w {}`, or use it as its owner",
        "请执行 `chown root {}` 和 `chmod go-w {}`，或以它的属主身份使用",
    ),
    // keys and their types
    ("unknown key `{}`, expected {}", "没有配置项 {}，可用的有 {}"),
    ("{}; did you mean `{}`?", "{}；是不是 {}？"),
    ("`{}` is missing", "缺少 {}"),
    ("`{}` stands in line {} already; keep one of them", "第 {1} 行已经有 {0}，请只保留一个"),
    ("`{}` is set too; keep one of them", "同时写了 {}，请只保留一个"),
    (
        "must be written with two brackets, as in [[{}]]: there may be several",
        "要写两层方括号，例如 [[{}]]：可以有多个",
    ),
    (
        "a section of its own, with lines as in \"name\" = \"value\"",
        "单独的配置段，每行写成 \"名字\" = \"值\"",
    ),
    (
        "{} bytes would refuse every picture; write a size, as in \"20MiB\"",
        "{} 字节会让所有图片都不合格；请写大小，例如 \"20MiB\"",
    ),
    ("must be a section of keys, as in [{}]", "应为配置段，例如 [{}]"),
    ("must be a text in quotes", "应为文本，要加英文双引号"),
    (
        "these quotation marks are no \" but those of a word processor: write the text as in \"text\"",
        "用了中文引号，请改成英文双引号，例如 \"text\"",
    ),
    ("a whole number, without quotes", "整数，不加引号"),
    ("a whole number of 0 or more, without quotes", "大于等于 0 的整数，不加引号"),
    (
        "a duration such as \"500ms\", \"5s\", \"10m\", \"1h\" or \"90d\"",
        "时间，例如 \"500ms\"、\"5s\"、\"10m\"、\"1h\"、\"90d\"",
    ),
    ("a size such as \"20MiB\", \"500KB\" or a number of bytes", "大小，例如 \"20MiB\"、\"500KB\"，或字节数"),
    ("\"{}\" is unknown here; it is one of {}", "不认识“{}”，可填 {}"),
    ("must be at least {}ms", "不能小于 {}ms"),
    ("must be from 1 to 256", "应为 1～256"),
    ("must not be shorter than retry.first_delay", "不能比 retry.first_delay 短"),
    ("\"{}\" is no time of the day, as in \"08:00\"", "“{}”不是时刻，应写成 \"08:00\" 这样"),
    (
        "is no log filter, as in \"info\" or \"warn,brandpost=debug\": {}",
        "不是日志过滤条件，例如 \"info\" 或 \"warn,brandpost=debug\"：{}",
    ),
    // the clouds
    ("is missing: the platform's console shows it beside the app", "没有填写；在平台控制台的应用旁可以看到"),
    ("has spaces or characters that no such id has", "含有空格，或这类编号里不会有的字符"),
    ("it is \"RELEASE\", \"PRE\", \"TEST\" or \"\"", "只能填 \"RELEASE\"、\"PRE\"、\"TEST\" 或 \"\""),
    (
        "must be scheme and host only, as in \"https://api.link.aliyun.com\"",
        "只写协议和域名，例如 \"https://api.link.aliyun.com\"",
    ),
    ("a region is written as in \"cn-hangzhou\"", "地域的写法例如 \"cn-hangzhou\""),
    ("must contain {}, or files would overwrite each other", "必须含有 {}，否则文件会互相覆盖"),
    ("has a placeholder that is none of {} {} {} {}", "只能用这些占位符：{} {} {} {}"),
    (
        "is no OSS key: no leading \"/\", no \"..\", no backslash",
        "不能作为 OSS 对象名：不能以“/”开头，不能含“..”或反斜杠",
    ),
    (
        "is no name of a bucket: 3 to 63 of a-z, 0-9 and \"-\"",
        "不是 bucket 名：应为 3～63 个小写字母、数字或“-”",
    ),
    ("is empty: no file could be sent anywhere", "是空的：任何文件都传不出去"),
    (
        "\"{}\" is where clouds keep the credentials of machines; no picture belongs there",
        "“{}”是云主机的元数据地址，不能往那里传图片",
    ),
    ("\"{}\" is neither a host nor \"*.\" and a domain", "“{}”既不是域名，也不是“*.”加域名"),
    (
        "\"{}\" is no address with port, as in \"127.0.0.1:8443\"",
        "“{}”应为地址加端口，例如 \"127.0.0.1:8443\"",
    ),
    ("there is no file {}", "没有文件 {}"),
    ("network.ca_file: {}: {}", "network.ca_file：{}：{}"),
    ("holds no certificate, neither as PEM nor as DER", "里面没有证书（PEM 或 DER）"),
    ("its PEM is damaged", "PEM 已损坏"),
    ("the HTTP client cannot be set up", "无法建立 HTTP 客户端"),
    (
        "${} {}: write it as http://host:port, or unset it",
        "环境变量 {} {}：请写成 http://主机:端口，或取消设置",
    ),
    ("names a SOCKS proxy, and only HTTP proxies can be used", "是 SOCKS 代理，只支持 HTTP 代理"),
    ("is neither http nor https", "既不是 http 也不是 https"),
    ("is no address of a proxy", "不是代理地址"),
    ("has a port that is no number", "的端口不是数字"),
    ("names no host", "没有写主机"),
    // where it is watched, kept and served
    (
        "\"~\" is not replaced here: write the whole path instead of {}",
        "这里的“~”不会展开：请把 {} 写成完整路径",
    ),
    ("a brand has from 1 to {} slots, not {}", "品牌的序号数应为 1～{}，不能是 {}"),
    (
        "a name has at most 100 characters, none of them a control character, and no blanks around it",
        "名字最多 100 个字，不能有控制字符，首尾不能有空格",
    ),
    ("its label is longer than {} bytes", "名称超过 {} 字节"),
    ("lies in the watched folder; put it beside it", "在监视目录里面；请放到监视目录之外"),
    ("{} or its folder is here twice", "{} 或它的目录写了两次"),
    ("{} is the folder of {} too", "{} 已经是 {} 的目录"),
    ("{} {}; name a folder outside of it", "{} {}；请用它之外的目录"),
    ("is watch.root itself", "就是 watch.root"),
    ("is the folder of all {} brands in watch.root", "是 watch.root 里所有 {} 品牌的目录"),
    ("lies in watch.root and is watched as {}/{} already", "在 watch.root 里，已作为 {}/{} 监视"),
    ("the pattern \"{}\" {}", "模式“{}”{}"),
    ("is for names, without \"/\", as in \"*.bak\"", "只匹配文件名，不能为空，不能含“/”，例如 \"*.bak\""),
    ("has a \"[\" without \"]\"", "有“[”而没有“]”"),
    (
        "is written as in \"postgres://brandpost@db.example.com/brandpost\", or \"postgres:///brandpost?host=/run/postgresql\"",
        "应写成 \"postgres://brandpost@db.example.com/brandpost\"，或 \"postgres:///brandpost?host=/run/postgresql\"",
    ),
    (
        "has a password in it, which everybody can read here: use database.password_file",
        "里面写了密码，谁都能看到：请改用 database.password_file",
    ),
    (
        "has the unknown parameter {}: the connection is always secured, with the certificate's name compared",
        "有不认识的参数 {}：连接总是加密的，并核对证书上的名字",
    ),
    ("is no address with port, as in \"127.0.0.1:9600\"", "应为地址加端口，例如 \"127.0.0.1:9600\""),
    (
        "lets other machines in: set http.token_file too, or use a loopback address",
        "会让其他电脑访问：请同时设置 http.token_file，或改用本机地址（127.0.0.1）",
    ),
    // secrets
    (
        "there is no {}: set {}_file, or {}, or the systemd credential {}",
        "没有 {}：请设置 {}_file、{} 或 systemd 凭证 {}",
    ),
    ("cannot read {} from {}", "无法从 {1} 读取 {0}"),
    ("{} in {} is empty", "{1} 里的 {0} 是空的"),
    (
        "{} holds {}, and other users can read it: run `chmod {} {}` (it must stay readable for the service)",
        "{} 存放 {}，但其他用户能读：请执行 `chmod {} {}`（服务用户仍要能读）",
    ),
    (
        "{} is in {}, which other users can read: run `chmod {} {}`, or use {}_file",
        "{} 写在其他用户能读的 {} 里：请执行 `chmod {} {}`，或改用 {}_file",
    ),
    ("{} in {} cannot be used: it {}", "{1} 里的 {0} 无法使用：{2}"),
    ("is no text in UTF-8: save it as UTF-8", "不是 UTF-8 文本，请另存为 UTF-8"),
    ("is in quotation marks: remove them", "带了引号，请去掉"),
    ("is no URL: copy it whole from the robot's settings", "不是网址：请从机器人设置里完整复制"),
    ("has more than one line: leave only the secret", "不止一行：请只留密钥"),
    (
        "has {} (U+{}) as its character number {}: copy it once more, or type it",
        "第 {2} 个字符是{0}（U+{1}）：请重新复制，或手工输入",
    ),
    ("a blank", "空格"),
    ("a character that cannot be seen", "看不见的字符"),
    ("a character that no such secret has", "这类密钥里不会有的字符"),
    // the token of the page
    (
        "http.token_file {} holds a token that could be guessed: it must have 128 bits, which is 32 hexadecimal digits, or 22 letters and digits; `openssl rand -hex 24` makes a good one",
        "http.token_file {} 里的口令太容易猜：至少要有 128 位，即 32 个十六进制字符，或 22 个字母和数字；可用 `openssl rand -hex 24` 生成",
    ),
    (
        "there is no token yet: the daemon generates one when http.listen is set and it has started or reloaded",
        "还没有口令：设置 http.listen 并启动或重新加载后，守护进程会生成",
    ),
    (
        "this user may not read the token: run `sudo brandpost page`, or become a member of the service's group",
        "当前用户不能读口令：请执行 `sudo brandpost page`，或加入服务的用户组",
    ),
    (
        "the token in {} cannot be used ({}); restart the daemon to get a new one",
        "{} 里的口令无法使用（{}）；重启守护进程会生成新的",
    ),
    ("it holds no token", "里面没有口令"),
    // a reload, and what a command cannot do
    (
        "[database] and watch.inbox can only be changed by a restart",
        "[database] 和 watch.inbox 的修改要重启才生效",
    ),
    (
        "the watched folder {} is not there; make it, or set watch.root",
        "监视目录 {} 不存在；请创建，或修改 watch.root",
    ),
    ("--to names no server", "--to 没有写服务器"),
    (
        "\"{}\" is neither an id nor a brand; `brandpost status` shows both",
        "“{}”既不是编号也不是品牌，请看 `brandpost status`",
    ),
    ("\"{}\" is no brand: write it as OWNBRAND/1001", "“{}”不是品牌，请写成 OWNBRAND/1001"),
    (
        "\"{}\" is no record id: it is a whole number from 1 on, without leading zeros",
        "“{}”不是资质记录 id：这里只写编号，例如 OWNBRAND/1001（从 1 起的整数，不带前导零）",
    ),
    ("cannot tell whose {} is", "看不出 {} 属于谁"),
    ("cannot become the owner of {} (user {})", "无法切换为 {} 的属主（用户 {}）"),
    // inotify
    ("inotify is not available ({})", "inotify 不可用（{}）"),
    (
        "inotify is not available ({}): sysctl fs.inotify.max_user_instances, or too many open files",
        "inotify 不可用（{}）：请调大 sysctl fs.inotify.max_user_instances，或打开的文件太多",
    ),
    // the daemon
    ("stopped before the database could be used", "数据库可用之前已停止"),
    ("a task of the daemon broke off", "守护进程的一个任务意外中断"),
    ("nothing runs", "没有任务在运行"),
    ("{} ended before it was stopped", "任务 {} 提前结束"),
    ("intake cannot use the database", "登记图片时无法使用数据库"),
    ("intake cannot do its work", "登记图片的任务无法工作"),
    ("publish cannot use the database", "上传时无法使用数据库"),
    ("an attempt broke off", "一次上传意外中断"),
    // the page
    ("there is no such thing", "没有这一项"),
    ("{} pages are open already; close some of them", "已有 {} 个页面打开着；请关掉一些"),
    (
        "write since as 2026-11-24, 2026-11-24T08:00:00Z, or how long ago: 30m, 2h, 3d",
        "since 请写 2026-11-24、2026-11-24T08:00:00Z，或多久以前：30m、2h、3d",
    ),
    ("state names more states than there are", "state 里的状态太多"),
    // alerts
    ("alerts.command is empty", "alerts.command 是空的"),
    ("alerts.command took too long", "alerts.command 超时"),
    ("the robot refuses it [{}]: {}", "机器人拒收 [{}]：{}"),
    (
        "what answers at alerts.webhook is no such robot; see alerts.kind",
        "alerts.webhook 的应答不像这种机器人，请检查 alerts.kind",
    ),
];
