//! Why a database cannot be used, and what to do about it.

use super::Pattern;

/// A text of ours and the same in Chinese; `{}` stands for a value.
pub(super) const TEXTS: &[Pattern] = &[
    ("cannot open the database {}: {}", "打不开数据库 {}：{}"),
    (
        "cannot open the database {}: there is none yet; `brandpost run` creates it",
        "打不开数据库 {}：还没有数据库，`brandpost run` 会创建",
    ),
    (
        "another brandpost (process {}) works with {} already; stop it first (systemctl stop brandpost)",
        "已有另一个 brandpost（进程号 {}）在使用 {}；请先停止它（systemctl stop brandpost）",
    ),
    (
        "another brandpost works with {} already; stop it first (systemctl stop brandpost)",
        "另一个 brandpost 正在使用 {}；请先停掉它（systemctl stop brandpost）",
    ),
    // the file
    ("its lock file {} cannot be made: {}", "无法创建锁文件 {}：{}"),
    ("{} cannot be made: {}", "无法创建 {}：{}"),
    ("{} exists already; name a new file", "{} 已经存在，请换一个文件名"),
    ("there is no folder {}; make it, or set database.path", "没有目录 {}；请创建，或修改 database.path"),
    (
        "its folder is on {}, where SQLite is not safe; put database.path on a local disk",
        "所在目录在 {} 上，SQLite 在那里不安全；请把 database.path 放到本地磁盘",
    ),
    ("its folder cannot be looked at: {}", "无法查看所在目录：{}"),
    (
        "SQLite {} is too old: before 3.51.3 resetting the WAL can corrupt a database",
        "SQLite {} 太旧：3.51.3 之前的版本可能损坏数据库",
    ),
    (
        "{}; give the file and its folder to the service's user, or set database.path",
        "{}；请把文件和目录交给服务用户，或修改 database.path",
    ),
    ("its disk is full; make room", "所在磁盘已满；请腾出空间"),
    ("{}; is its disk sound?", "{}；请检查磁盘"),
    ("{}; see what else uses it", "{}；请看看还有什么在使用它"),
    (
        "{}: {}; the daemon puts a database of its own aside when it starts; else restore a backup, or move it away",
        "{}：{}；如果是守护进程自己的数据库，启动时会自动改名保存并重建；否则请恢复备份，或移走它",
    ),
    ("the database is damaged: {}", "数据库已损坏：{}"),
    ("the database {} is missing", "数据库 {} 不见了"),
    (
        "the database {} {} while brandpost worked with it; brandpost restarts",
        "brandpost 运行期间数据库 {} {}；brandpost 会重启",
    ),
    ("was deleted, and written back,", "被删除，已写回"),
    ("was replaced", "被替换"),
    ("the database holds an unknown value: {}", "数据库里有不认识的值：{}"),
    ("upload {} is not in the state that this step needs: {}", "编号 {} 的状态不允许这一步：{}"),
    ("the database cannot be brought to this version's schema", "数据库无法升级到这个版本"),
    (
        "a newer brandpost has changed it (schema {}, this version knows {}); install that version here too",
        "更新版本的 brandpost 改过它（结构版本 {}，本版本只认识 {}）；请在这里也安装那个版本",
    ),
    ("the disk of {} is full; make room", "{} 所在磁盘已满；请腾出空间"),
    ("the quota of {} is used up; make room", "{} 的配额已用完；请腾出空间"),
    ("{} is on a disk that is mounted read-only; mount it for writing", "{} 所在磁盘是只读挂载；请改为可写"),
    ("{} must not be changed; chattr -i {}", "{} 被设为不可修改；请执行 chattr -i {}"),
    (
        "{} cannot be written; give the file and its folder to the service's user",
        "{} 不可写；请把文件和目录交给服务用户",
    ),
    ("{} cannot be written: {}", "{} 不可写：{}"),
    // the server
    (
        "the environment has {}, which brandpost does not obey and cannot ignore; unset it",
        "环境变量 {} 会影响连接，brandpost 不采用也无法忽略；请取消设置",
    ),
    ("PostgreSQL {} is too old; brandpost needs 14 or newer", "PostgreSQL {} 太旧，需要 14 或更新的版本"),
    (
        "the database's encoding is {}; make one with ENCODING 'UTF8'",
        "数据库编码是 {}；请用 ENCODING 'UTF8' 新建",
    ),
    (
        "the session does not get the settings that it asks for; a pooler in between must pass on `options` (PgBouncer: not in ignore_startup_parameters)",
        "会话没有得到要求的设置；中间的连接池必须传递 `options`（PgBouncer：不要写进 ignore_startup_parameters）",
    ),
    (
        "the server does not accept the role or its password; set database.password_file, or the role in database.url, and look at pg_hba.conf",
        "服务器不接受这个角色或密码；请检查 database.password_file、database.url 里的角色和 pg_hba.conf",
    ),
    (
        "there is no database {}; make it (createdb), or correct database.url",
        "没有数据库 {}；请创建（createdb），或修改 database.url",
    ),
    (
        "the role {} lacks a right: {}; make it the owner of the database",
        "角色 {} 缺少权限：{}；请让它成为数据库的属主",
    ),
    (
        "the connection cannot be secured: {}; the server needs a certificate for the name in database.url (network.ca_file trusts another authority)",
        "连接无法加密：{}；服务器的证书要与 database.url 里的名字一致（自建 CA 请写进 network.ca_file）",
    ),
    ("{}; correct database.url, or the certificates", "{}；请检查 database.url 或证书"),
    (
        "the server does not answer; is database.url right, and does a firewall let it through?",
        "数据库服务器没有响应；请检查 database.url 和防火墙",
    ),
    (
        "the server cannot be reached: {}; is it running, and is database.url right?",
        "连不上数据库服务器：{}；请检查它是否在运行、database.url 是否正确",
    ),
    ("{}; is this a PostgreSQL server that speaks TLS?", "{}；请确认它是支持 TLS 的 PostgreSQL 服务器"),
    ("{}; see the server's log", "{}；请查看数据库服务器的日志"),
    ("{} at the socket in {} (port {}, role {})", "{}（套接字目录 {}，端口 {}，角色 {}）"),
    (
        "others can write in {}, or in a folder above it, and so stand in for the server and be sent the password: let the server have its socket in a folder that is its own (unix_socket_directories, e.g. /run/postgresql)",
        "{} 或其上级目录别人可写，可能有人冒充服务器骗取密码：请把 unix_socket_directories 设为专用目录，例如 /run/postgresql",
    ),
    (
        "its schema brandpost holds tables of something else; give brandpost a database of its own (createdb)",
        "其中的 schema brandpost 里有别的程序的表；请给 brandpost 单独建一个数据库（createdb）",
    ),
    // several hosts
    (
        "the inbox {} is kept by the daemon on {}, last seen {}; standing by",
        "收件箱 {} 正由 {} 上的守护进程使用，最近在线 {}；本机待命",
    ),
    (
        "the inbox {} is kept by another daemon now, or the server was out of reach for too long",
        "收件箱 {} 已由别的守护进程接管，或与服务器失联太久",
    ),
    ("another daemon keeps the inbox", "收件箱正由别的守护进程使用"),
    (
        "{} has {} slots on this host, and {} on {} (inbox {}); set the same number on both",
        "{} 在本机有 {} 个序号，在 {3}（收件箱 {4}）有 {2} 个；请设成一样",
    ),
    ("there is one inbox, this host's: it cannot be retired", "只有本机一个收件箱，不能停用"),
    (
        "the daemon of the inbox {} came back meanwhile: {} files are gone, the others are its own again",
        "收件箱 {} 的守护进程在此期间已恢复：{} 个文件已作废，其余仍归它处理",
    ),
    ("there is no inbox {}; `brandpost inboxes` lists them", "没有收件箱 {}；可用 `brandpost inboxes` 查看"),
    (
        "the inbox {} is kept by the daemon on {}; stop that first",
        "收件箱 {} 正由 {} 上的守护进程使用，请先停止它",
    ),
    // from a file to a server
    (
        "all rows are on the server, but {} cannot be renamed ({}): move it away, so that no daemon works with it",
        "数据已全部复制到服务器，但 {} 无法改名（{}）：请把它移走，以免守护进程再使用它",
    ),
    (
        "rows of the table {} are not on the server as they are in the file; nothing was copied",
        "表 {} 在服务器上与文件里不一致；没有复制任何数据",
    ),
    (
        "there is none; with database.url the daemon makes a new one on the server",
        "没有这个文件；设置 database.url 后，守护进程会在服务器上新建",
    ),
    ("{} holds a ledger already; name an empty database", "{} 里已有数据；请指定空的数据库"),
    // what `check` finds on a server
    ("the tables will be made at the first start", "首次启动时建表"),
    (
        "{} is off: what was acknowledged may be lost with the server, and pictures be sent twice; turn it on",
        "{} 是 off：服务器故障时可能丢失已确认的数据，图片会重复上传；请打开",
    ),
    (
        "it is a standby, which cannot be written; database.url must name the primary",
        "这是备库，不能写；database.url 必须指向主库",
    ),
    (
        "every role of the server may connect to the database, and can fill its disk and disturb its hosts: REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC",
        "服务器上的所有角色都能连接这个数据库，可能占满磁盘、干扰各主机：请执行 REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC",
    ),
    (
        "its clock and this host's differ by {} s; set both by NTP",
        "它的时钟与本机相差 {} 秒；请都用 NTP 校准",
    ),
    (
        "max_connections = {} is too little for {} hosts with {} connections each",
        "max_connections = {} 不够 {} 台主机使用（每台 {} 个连接）",
    ),
    ("inbox {} is kept by {}", "收件箱 {} 由 {} 使用"),
    ("inbox {} has no keeper, last seen {}", "收件箱 {} 没有主机在用，最近在线 {}"),
    ("{} (this host's inbox)", "{}（本机）"),
];
