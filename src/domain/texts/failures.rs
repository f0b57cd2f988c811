//! What goes wrong elsewhere: the clouds, files and folders, slots, and the notices. In English where it is found out, in
//! Chinese here.

use super::Pattern;

/// A text of ours and the same in Chinese; `{}` stands for a value.
pub(super) const TEXTS: &[Pattern] = &[
    // slots
    ("the same picture is there already as {}", "同一张图片已经存在，文件名是 {}"),
    ("the same picture is there already as {} in the inbox {}", "同一张图片已经存在：收件箱 {1} 里的 {0}"),
    (
        "{} files wait for host {} (inbox {}), last seen {}; if it never comes back: `brandpost inboxes retire {}`",
        "{} 个文件在等待主机 {}（收件箱 {}），最近在线 {}；如果它不会再回来，请执行 `brandpost inboxes retire {}`",
    ),
    (
        "files wait for {} hosts that are away: {}; `brandpost inboxes` lists them",
        "有文件在等待 {} 台失联的主机：{}；详情见 `brandpost inboxes`",
    ),
    (
        "all {} slots of this brand are taken; this file waits for a free one",
        "这个品牌的 {} 个序号都已用完，这个文件在等空出来的序号",
    ),
    ("slot {} is beyond the {} of this brand", "序号 {} 超出了这个品牌的 {} 个序号"),
    ("slot {} belongs to another file or is reserved", "序号 {} 已属于别的文件，或已预留"),
    (
        "its slot went to another file; this one waits for a free one",
        "它的序号已给了别的文件，现在等待空出来的序号",
    ),
    ("its slot was reserved; this one waits for a free one", "它的序号已被预留，现在等待空出来的序号"),
    (
        "the name gives no slot: with slots.by = \"filename\" it is a number, as in 3.jpg",
        "文件名没有给出序号：slots.by = \"filename\" 时文件名应为数字，例如 3.jpg",
    ),
    // what operators ask for and cannot have
    ("slot {} of {} belongs to {} ({}); release it first", "{1} 的序号 {0} 属于 {2}（{3}），请先释放"),
    (
        "slot {} of {} belongs to {}, which is {}; to stop it, delete the file; to give it another slot, `brandpost reserve {} {}`",
        "{1} 的序号 {0} 属于 {2}，状态是 {3}；要停下来请删除该文件，要换一个序号请执行 `brandpost reserve {4} {5}`",
    ),
    ("slot {} of {} is free already", "{1} 的序号 {0} 本来就是空的"),
    ("the file of upload {} is gone; drop it again", "编号 {} 的文件已删除，请重新放入"),
    ("there is no upload {}; `brandpost status` lists them", "没有编号 {}，可用 `brandpost status` 查看"),
    ("upload {} is being sent right now", "编号 {} 正在上传"),
    ("{} has slots 1 to {}, not {}", "{} 的序号是 1 到 {}，没有 {}"),
    (
        "{} is unknown: it has no folder yet; `brandpost status` lists what there is",
        "没有 {}：还没有它的目录，可用 `brandpost status` 查看",
    ),
    // files
    ("a symbolic link, which is not followed", "符号链接，不会跟随"),
    ("not a regular file", "不是普通文件"),
    ("a symbolic link", "符号链接"),
    ("a folder, not a file", "是文件夹，不是文件"),
    ("{}, not a picture", "{}，不是图片"),
    ("something that is mounted there", "上面挂载了别的东西"),
    (
        "it is on a file system that a program of the user with the number {} serves (FUSE), who could hold the service up; only those that root or the service's user has mounted are read",
        "在用户 {} 自己挂载的 FUSE 文件系统上，可能拖住服务；只读取 root 或服务用户挂载的文件系统",
    ),
    ("it is being unmounted", "正在卸载"),
    ("a FIFO", "命名管道"),
    ("a socket", "套接字"),
    ("a device", "设备文件"),
    ("the service's user may not read this file", "服务用户没有读取这个文件的权限"),
    ("it changes while it is read: wait until it is copied", "读取时文件还在变化：请等拷贝完成"),
    ("another program holds it", "正被另一个程序占用"),
    (
        "its folder is no brand's any more: name it in [[brand]], or move the file",
        "所在目录已不属于任何品牌：请在 [[brand]] 里写明，或移动文件",
    ),
    ("the file was changed while it was sent; it is checked again", "上传过程中文件被改动，会重新检查"),
    ("the file has changed since it was checked; it is checked again", "文件在检查之后有变动，会重新检查"),
    ("the file is not where it was", "文件已不在原来的位置"),
    ("the file cannot be opened now: {}", "文件暂时打不开：{}"),
    ("the file cannot be read to its end: {}", "文件没能读完：{}"),
    ("the file cannot be read to its end: its file system does not answer", "文件没能读完：文件系统没有响应"),
    ("its file system gives less than {} KiB a second", "文件系统每秒不到 {} KiB"),
    ("it repeats a secret", "其中重复了密钥"),
    ("its file system does not answer", "文件系统没有响应"),
    ("given up after {} attempts; the last error was: {}", "尝试 {} 次后放弃，最后一次的错误：{}"),
    // folders
    (
        "\"{}\" is no brand type: it is OWNBRAND or OTHERBRAND, in capitals",
        "“{}”不是品牌类型，应为大写的 OWNBRAND 或 OTHERBRAND",
    ),
    (
        "\"{}\" is no brand's folder: its name is a record id (without leading zeros), or a record id and a label, as in \"1001-Acme\"",
        "“{}”不是品牌目录：目录名应为资质记录 id（半角数字，不带前导零），后面可以加名称，编号与名称之间要有空格、-、_ 或 .，例如“1001-海尔”",
    ),
    ("is a symbolic link, which is not followed", "是符号链接，不会跟随"),
    (
        "is no folder; pictures go into TYPE/ID, as in OWNBRAND/1001",
        "不是文件夹；图片要放进“类型/编号”，例如 OWNBRAND/1001",
    ),
    (
        "folders in a brand's folder are not looked into; put the pictures into the brand's folder itself",
        "品牌目录里的子文件夹不会处理；请把图片直接放在品牌目录下",
    ),
    ("it holds more than {} brands' folders", "其中的品牌目录超过 {} 个"),
    ("it holds more than {} files; move some elsewhere", "其中的文件超过 {} 个，请移走一些"),
    ("an empty folder is in its place: is it unmounted?", "原处是一个空目录：是不是没有挂载？"),
    // the ways to the clouds
    ("no answer from {} in time", "{} 没有及时应答"),
    ("cannot connect to {}: {}", "连不上 {}：{}"),
    ("cannot connect to {}", "连不上 {}"),
    ("lost the connection to {}: {}", "与 {} 的连接中断：{}"),
    ("lost the connection to {}", "与 {} 的连接中断"),
    ("{} through the proxy {}", "{}（经代理 {}）"),
    (
        "{}; if a proxy or an authority of your own signs here, name its certificate in network.ca_file",
        "{}；如果证书由代理或自建 CA 签发，请把它写进 network.ca_file",
    ),
    ("{}; the proxy does not let this machine through to it", "{}；代理不允许本机访问它"),
    ("{}; put the user and password into the proxy's URL", "{}；请把用户名和密码写进代理地址"),
    ("{}; check this machine's clock (NTP)", "{}；请检查本机时钟（NTP）"),
    ("{} made no progress for {} s", "{} 已 {} 秒没有进展"),
    (
        "HTTP {} from {} without {}: it comes from a proxy, a firewall or a login page in between{}; let this machine reach {}",
        "{1} 返回 HTTP {0}，但没有 {2}：应答来自中间的代理、防火墙或登录页{3}；请让本机能访问 {4}",
    ),
    (" (server: {})", "（server：{}）"),
    ("HTTP {} without an answer that can be read", "HTTP {}，应答无法解读"),
    ("the header {} cannot be sent", "请求头 {} 无法发送"),
    // the gateway
    ("the gateway gives code {} without a message", "网关返回错误码 {}，没有说明"),
    ("the gateway's answer {}", "网关的应答{}"),
    ("lacks a part of the credentials", "缺少一部分临时凭证"),
    ("has an empty {}", "中的 {} 是空的"),
    ("has a {} with characters that no credential has", "中的 {} 含有凭证里不会有的字符"),
    (
        "has an expiration that is no time (RFC 3339, or milliseconds)",
        "中的 expiration 不是时间（RFC 3339 或毫秒）",
    ),
    (
        "grants credentials that end at {}, too soon to be used: {}; check this machine's clock (NTP)",
        "给的临时凭证在 {} 到期，来不及使用：{}；请检查本机时钟（NTP）",
    ),
    ("it is {} there and {} here", "对方时间 {}，本机时间 {}"),
    ("it is {} here, and the answer has no Date", "本机时间 {}，应答里没有 Date"),
    // uploadUrl
    ("the gateway's uploadUrl is unusable: {}", "网关给的 uploadUrl 不可用：{}"),
    (
        "its host does not belong to the endpoint, so the bucket is unknown",
        "域名与 endpoint 不符，无法确定 bucket",
    ),
    ("it is neither http nor https", "既不是 http 也不是 https"),
    ("it has a user name in it", "其中带有用户名"),
    ("it is http, and oss.https = \"require\"", "它是 http，而 oss.https = \"require\""),
    ("it cannot be changed to https", "无法改为 https"),
    ("its path ends in \"/\", so it names a folder and no object", "路径以“/”结尾，指的是目录而不是对象"),
    ("its path is no UTF-8", "路径不是 UTF-8"),
    (
        "its region does not follow from the endpoint; set oss.region",
        "从 endpoint 看不出地域，请设置 oss.region",
    ),
    (
        "the gateway wants the file sent to {}, which oss.allowed_hosts does not allow",
        "网关要求把文件传到 {}，oss.allowed_hosts 不允许",
    ),
    (
        "the gateway wants the file sent to {}, which is not the bucket {} of oss.bucket",
        "网关要求把文件传到 {}，不是 oss.bucket 指定的 {}",
    ),
    (
        "the gateway wants {} in the object of {} (slot {} of {}), {}: nothing was sent, or one would overwrite the other; its uploadUrl must differ for each index",
        "网关要求把 {} 传到 {} 的对象（{3} 的序号 {2}），{4}：没有上传，否则会互相覆盖；每个序号的 uploadUrl 必须不同",
    ),
    // OSS
    ("OSS refuses the file: {}", "OSS 拒绝了文件：{}"),
    (
        "OSS has other bytes than the file: CRC-64 {} instead of {}",
        "OSS 上的内容与文件不同：CRC-64 是 {}，应为 {}",
    ),
    (
        "the answer has no CRC-64, and its ETag {} is not the file's MD5 {}: nobody knows what arrived; see what removes x-oss-hash-crc64ecma between here and {}",
        "应答里没有 CRC-64，ETag {} 也不是文件的 MD5 {}，无法确认传到了什么；请检查本机到 {} 之间是什么去掉了 x-oss-hash-crc64ecma",
    ),
    (
        "the answer has no checksum, neither x-oss-hash-crc64ecma nor ETag: nobody knows what arrived; see what removes them between here and {}",
        "应答里既没有 x-oss-hash-crc64ecma 也没有 ETag，无法确认传到了什么；请检查本机到 {} 之间是什么去掉了它们",
    ),
    ("OSS does not tell which one", "OSS 没有说明是哪一个"),
    ("it is another one than this file", "它不是这个文件"),
    (
        "{} An object is there and the bucket forbids overwriting; {}. If the slot was filled by other means, keep it free with `brandpost reserve`; else delete the object",
        "{} 那里已有对象，而 bucket 禁止覆盖；{}。如果这个序号是用其他途径传的，请用 `brandpost reserve` 预留；否则请删除该对象",
    ),
    // notices
    (
        "the watched folder {} is not there ({}); its files wait until it is back",
        "监视目录 {} 不在（{}）；其中的文件会等它恢复",
    ),
    ("the folder {} cannot be read, and its files wait ({})", "目录 {} 无法读取，其中的图片在等待（{}）"),
    (
        "{} folders cannot be read, and their files wait; one of them is {} ({})",
        "{} 个目录无法读取，其中的图片在等待；其中一个是 {}（{}）",
    ),
    (
        "the gateway does not accept our credentials; nothing is sent until it does. Check gateway.app_key and the app secret: {}",
        "网关不接受我们的凭证，在它接受之前不会上传。请检查 gateway.app_key 和 AppSecret：{}",
    ),
    (
        "the cloud cannot be used; one file at a time is tried until it can: {}",
        "云端暂时不可用，每次只用一个文件试探，直到恢复：{}",
    ),
    (
        "the cloud asks to slow down and takes nothing; the pace is lowered step by step: {}",
        "云端要求放慢，暂时一个也收不了，速度会逐步降低：{}",
    ),
    (
        "uploads are paused by an operator; `brandpost resume` lets them go on",
        "上传已被人工暂停；用 `brandpost resume` 恢复",
    ),
    (
        "uploads are paused by an operator: {}; `brandpost resume` lets them go on",
        "上传已被人工暂停：{}；用 `brandpost resume` 恢复",
    ),
    (
        "{}; it was rebuilt from the folders, without its reservations: `brandpost reserve` them again. Files from before {} are held: `brandpost retry --held` sends them again, `brandpost adopt --all` takes them as sent",
        "{}；已按目录重建，预留的序号没有了，请重新 `brandpost reserve`。{} 以前的文件待确认：`brandpost retry --held` 全部重传，`brandpost adopt --all` 视为已上传",
    ),
    ("the database was missing", "数据库不见了"),
    ("the database was damaged and is now {}", "数据库已损坏，现在是 {}"),
    (
        "http.listen = \"{}\" cannot be used ({}): there is no page, /metrics or /readyz; uploads go on",
        "http.listen = \"{}\" 无法使用（{}）：网页、/metrics 和 /readyz 都没有，上传照常进行",
    ),
];

/// What the system and SQLite say, most often.
pub(super) const SYSTEM: &[Pattern] = &[
    ("No such file or directory (os error 2)", "没有这个文件或目录"),
    ("Input/output error (os error 5)", "读写错误"),
    ("Permission denied (os error 13)", "没有权限"),
    ("Not a directory (os error 20)", "不是目录"),
    ("Too many open files (os error 24)", "打开的文件太多"),
    ("No space left on device (os error 28)", "磁盘已满"),
    ("Read-only file system (os error 30)", "文件系统只读"),
    ("Address already in use (os error 98)", "地址已被占用"),
    ("Network is unreachable (os error 101)", "网络不可达"),
    ("Connection reset by peer (os error 104)", "连接被对方重置"),
    ("Connection refused (os error 111)", "连接被拒绝"),
    ("No route to host (os error 113)", "没有到主机的路由"),
    ("Stale file handle (os error 116)", "文件句柄已失效"),
    ("File exists (os error 17)", "已经存在"),
    ("Is a directory (os error 21)", "是目录，不是文件"),
    ("Operation not permitted (os error 1)", "不允许的操作"),
    ("Connection timed out (os error 110)", "连接超时"),
    ("Cannot assign requested address (os error 99)", "本机没有这个地址"),
    ("invalid digit found in string", "应为数字"),
    ("number too large to fit in target type", "数字太大"),
    ("database: {}", "数据库：{}"),
    ("database: error communicating with database: {}", "{}"),
    ("database: database disk image is malformed", "数据库已损坏，守护进程启动时会自动改名保存并重建"),
    ("database: attempt to write a readonly database", "数据库不可写：请用 sudo 或以服务用户执行"),
    ("attempt to write a readonly database", "数据库不可写"),
    ("unable to open database file", "无法打开数据库文件"),
    ("database disk image is malformed", "文件已损坏"),
    ("file is not a database", "文件不是数据库"),
    ("database is locked", "正被别的程序占用"),
    ("database or disk is full", "磁盘已满"),
    ("disk I/O error", "磁盘读写错误"),
];
