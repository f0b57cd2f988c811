// Every text of the page, in both languages, and which of them is spoken.

import { recall, remember } from './dom.js';

const WORDS = {
  zh: {
    about: '品牌资质图片上传台账',
    language: '语言', theme: '外观', auto: '跟随系统', light: '浅色', dark: '深色',
    connecting: '正在连接…', live: '实时更新中', offline: (since) => (since ? `连接已断开，正在重连（内容截至 ${since}）` : '暂时连不上，正在重试…'),
    skip: '跳到图片列表',
    all: '全部图片', waiting: '等待上传', held: (n) => `待确认 ${n}`,
    queued: '等待上传', uploading: '正在上传', retrying: '重试中', uploaded: '上传成功',
    failed: '云端拒绝', rejected: '不合格', gone: '文件已删除', interrupted: '中断', running: '进行中',
    short: { queued: '排队', uploading: '上传', retrying: '重试' },
    search: '按品牌或文件名查找', searchHint: '品牌编号或文件名',
    filter: '按状态筛选', pictures: '图片', brands: '品牌', recent: '最新动态', nothingYet: '暂无动态。',
    pause: '暂停上传', resume: '恢复上传',
    OWNBRAND: '自有品牌', OTHERBRAND: '其他品牌',
    used: (used, total) => `已用 ${used} / ${total}`, lastUpload: '最近上传',
    slot: '序号', slotOf: (n) => `序号 ${n}`, slotsOf: (brand) => `${brand} 的序号，用方向键逐个查看`,
    free: '空', reserved: '预留', reservedHint: '平台上已有图片，不会覆盖', moreFree: (n) => `后面还空 ${n} 个`,
    version: (n) => `第 ${n} 版`, released: '序号已释放',
    showAll: (n) => `全部 ${n} 条`, moreRefused: (n) => `另有 ${n} 条，点击查看`,
    retry: '重新上传', release: '释放序号', details: '详情', close: '关闭', cancel: '取消', more: '继续加载',
    loading: '正在读取…', emptyBrands: '还没有品牌。在监视目录下建好“类型/资质记录 id”的文件夹，放入图片即可。',
    emptySearch: '没有找到。换个品牌编号或文件名试试。', emptyState: '这个状态下没有图片。',
    retried: '已重新排队', releasedNow: (n) => `序号 ${n} 已释放`, pausedNow: '已暂停上传', resumedNow: '已恢复上传',
    failedTo: (why) => `操作失败：${why}`, unreachable: '连不上 brandpost，请稍后再试',
    releaseTitle: (slot, brand) => `释放 ${brand} 的序号 ${slot}？`,
    releaseText: (file) => `${file} 将不再占用这个序号。如果有图片因序号已满在等，等得最久的那张会自动补上，并覆盖 OSS 上原来的图片；没有的话，OSS 上的图片保持不变。`,
    why: '原因', what: '怎么办', said: '原始信息', attemptsTitle: '上传经过', noAttempts: '还没有上传过。',
    attempt: (n) => `第 ${n} 次`, noThumbnail: '没有预览',
    login: '请输入访问口令', loginText: '在服务器上执行下面的命令，点开它给出的地址即可进入；也可以把地址或口令粘贴到这里。', token: '口令', enter: '进入', wrongToken: '口令不对或已更换，请重新获取。',
    fields: {
      id: '编号', brand: '品牌', path: '路径', size: '大小', pixels: '尺寸', suffix: '格式', revision: '版本', attempts: '计入的次数',
      next_attempt_at: '下次尝试', detected_at: '发现时间', uploaded_at: '上传时间', updated_at: '最近变化', object_url: 'OSS 地址',
      etag: 'ETag', request_id: 'Request ID', error_code: '错误码', sha256: 'SHA-256',
    },
    since: (when) => `自 ${when} 起`,
    notices: {
      paused: ['云端暂时收不了图片，上传已自动暂停', '图片都还在，恢复后会自动继续；时间长了请按下面的信息检查密钥或网络。'],
      throttled: ['云端持续限流，暂时一个也传不上去', '会自动放慢重试，恢复后自动继续；长时间不好请管理员调低 [limits]。'],
      root: ['找不到监视目录', '请检查共享盘或磁盘是否挂载；目录恢复后会自动继续。'],
      rebuilt: ['数据库损坏后已重建，以前的图片等待确认', '请管理员决定：brandpost retry --held 全部重传，或 brandpost adopt --all 视为已上传。'],
      suspended: ['上传已被人工暂停', '新图片照常检查、排队，恢复后按顺序上传。'],
      other: ['需要留意', ''],
    },
  },
  en: {
    about: 'The ledger of your brands’ pictures',
    language: 'Language', theme: 'Appearance', auto: 'Auto', light: 'Light', dark: 'Dark',
    connecting: 'Connecting…', live: 'Live', offline: (since) => (since ? `Connection lost, trying again (as of ${since})` : 'Cannot be reached, trying again…'),
    skip: 'Skip to the pictures',
    all: 'All pictures', waiting: 'Waiting', held: (n) => `${n} held`,
    queued: 'Queued', uploading: 'Uploading', retrying: 'Retrying', uploaded: 'Uploaded',
    failed: 'Refused by the cloud', rejected: 'Not accepted', gone: 'File deleted', interrupted: 'Interrupted', running: 'Under way',
    short: { queued: 'queued', uploading: 'sending', retrying: 'retrying' },
    search: 'Find a brand or a file', searchHint: 'Brand or file',
    filter: 'Filter by state', pictures: 'Pictures', brands: 'Brands', recent: 'Latest', nothingYet: 'Nothing has happened yet.',
    pause: 'Pause uploads', resume: 'Resume uploads',
    OWNBRAND: 'Own brand', OTHERBRAND: 'Other brand',
    used: (used, total) => `${used} of ${total} taken`, lastUpload: 'last',
    slot: 'Slot', slotOf: (n) => `Slot ${n}`, slotsOf: (brand) => `Slots of ${brand}, arrow keys move between them`,
    free: 'free', reserved: 'kept', reservedHint: 'filled on the platform; never overwritten', moreFree: (n) => `and ${n} more free`,
    version: (n) => `version ${n}`, released: 'slot released',
    showAll: (n) => `Show all ${n}`, moreRefused: (n) => `${n} more, show them`,
    retry: 'Try again', release: 'Release slot', details: 'Details', close: 'Close', cancel: 'Cancel', more: 'Load more',
    loading: 'Reading…', emptyBrands: 'No brands yet. Make a folder “type/record id” in the watched folder and drop pictures into it.',
    emptySearch: 'Nothing found. Try another record id or file name.', emptyState: 'No picture is in this state.',
    retried: 'Queued again', releasedNow: (n) => `Slot ${n} is released`, pausedNow: 'Uploads are paused', resumedNow: 'Uploads go on',
    failedTo: (why) => `That did not work: ${why}`, unreachable: 'brandpost cannot be reached; try again in a moment',
    releaseTitle: (slot, brand) => `Release slot ${slot} of ${brand}?`,
    releaseText: (file) => `${file} gives up this slot. If a picture waits because all slots are taken, the one that has waited longest moves in and replaces the object on OSS. If none waits, the object on OSS stays as it is.`,
    why: 'Why', what: 'What to do', said: 'In detail', attemptsTitle: 'Attempts', noAttempts: 'None yet.',
    attempt: (n) => `Attempt ${n}`, noThumbnail: 'no preview',
    login: 'Enter the access token', loginText: 'Run this on the server and open the address that it prints, or paste the address or the token here.', token: 'Token', enter: 'Enter', wrongToken: 'That is not the token, or not any more.',
    fields: {
      id: 'Number', brand: 'Brand', path: 'Path', size: 'Size', pixels: 'Pixels', suffix: 'Format', revision: 'Version', attempts: 'Attempts that count',
      next_attempt_at: 'Next attempt', detected_at: 'First seen', uploaded_at: 'Uploaded', updated_at: 'Last change', object_url: 'Object on OSS',
      etag: 'ETag', request_id: 'Request ID', error_code: 'Error code', sha256: 'SHA-256',
    },
    since: (when) => `since ${when}`,
    notices: {
      paused: ['The cloud takes no pictures now; uploads wait', 'Nothing is lost and it goes on by itself. If it lasts, check the credentials or the network.'],
      throttled: ['The cloud asks to slow down and takes nothing now', 'It is tried again by itself, slower. If it lasts, lower the pace under [limits].'],
      root: ['The watched folder is missing', 'Check that the share or disk is mounted; it goes on by itself.'],
      rebuilt: ['The database was damaged and rebuilt; earlier pictures are held', 'brandpost retry --held sends them again, brandpost adopt --all takes them as sent.'],
      suspended: ['Uploads are paused by an operator', 'New pictures are still checked and queued; they are sent in order afterwards.'],
      other: ['Please note', ''],
    },
  },
};

// error_kind: what it means, what to do. Chinese, then English.
const KINDS = {
  unsupported_format: ['不是支持的图片格式', '另存为 JPG、PNG 或 GIF 后重新放入。', 'Not a JPG, PNG or GIF', 'Save it as JPG, PNG or GIF and drop it again.'],
  damaged_image: ['图片不完整或已损坏', '从原处重新拷贝一份。', 'Incomplete or damaged', 'Copy the file again from its source.'],
  suffix_mismatch: ['后缀与实际格式不符', '把后缀改成实际格式。', 'The suffix does not match the content', 'Rename the file so that its suffix says what it is.'],
  too_large: ['文件太大', '压缩后重新放入，或请管理员调大 images.max_bytes。', 'The file is too large', 'Make it smaller, or raise images.max_bytes.'],
  too_many_pixels: ['图片尺寸太大', '缩小尺寸后重新放入，或请管理员调大 images.max_pixels。', 'Too many pixels', 'Scale it down, or raise images.max_pixels.'],
  not_a_file: ['不是普通文件', '请放图片本身，不要放链接或快捷方式。', 'Not a regular file', 'Put the picture itself here, not a link.'],
  unreadable: ['没有读取权限', '让服务账号能读取这个文件，再点“重新上传”。', 'The file cannot be read', 'Let the service’s user read it, then try again.'],
  limit_reached: ['序号已满', '释放一个序号，等得最久的图片会自动补上。', 'All slots are taken', 'Release a slot; the picture that has waited longest takes it.'],
  duplicate: ['与已有图片重复', '同一张图片已在，不用处理。', 'The same picture is there already', 'Nothing to do.'],
  slot_taken: ['文件名指定的序号已被占用', '改用空着的序号命名，或先释放这个序号。', 'The slot in its name is taken', 'Name it after a free slot, or release this one.'],
  gateway_rejected: ['平台拒绝了申请', '核对品牌类型、资质记录 id 和 appId，再点“重新上传”。', 'The platform refused it', 'Check type, record id and appId on the platform, then try again.'],
  oss_rejected: ['OSS 拒绝了图片', '按错误码处理后，再点“重新上传”。', 'OSS refused it', 'Mend what the error code says, then try again.'],
  forbidden_host: ['上传地址不在允许范围内', '确认无误后请管理员加入 oss.allowed_hosts，再点“重新上传”。', 'The upload host is not allowed', 'If it is right, add it to oss.allowed_hosts, then try again.'],
  bad_upload_url: ['平台返回的上传地址不可用', '请向平台反馈，之后再点“重新上传”。', 'The platform’s upload address is unusable', 'Report it to the platform, then try again.'],
  attempts_exhausted: ['多次重试仍未成功', '在详情里看最后几次的原因，处理后再点“重新上传”。', 'All attempts are used up', 'Look at the last attempts, then try again.'],
  network: ['网络不通', '会自动重试；长时间不好请检查网络。', 'The network failed', 'It is tried again by itself; check the network if it lasts.'],
  timeout: ['网络超时', '会自动重试；长时间不好请检查网络。', 'It took too long', 'It is tried again by itself; check the network if it lasts.'],
  gateway_error: ['平台出错', '会自动重试。', 'The platform has a problem', 'It is tried again by itself.'],
  oss_error: ['OSS 出错', '会自动重试。', 'OSS has a problem', 'It is tried again by itself.'],
  throttled: ['被限流', '会自动放慢重试；长时间不好请管理员调低 [limits]。', 'Asked to slow down', 'It is tried again by itself, slower.'],
  credentials: ['AppKey 或 AppSecret 不对', '请管理员核对密钥，改好后自动恢复。', 'Credentials are not accepted', 'Check the AppKey and the app secret; everything waits until they are right.'],
  clock_skew: ['服务器时间不准', '请管理员校准时间（NTP），会自动重试。', 'The machine’s clock is wrong', 'Set the clock (NTP); it is tried again by itself.'],
  checksum_mismatch: ['传输校验不一致', '会自动重新读取并重传；反复出现请管理员检查到 OSS 途中的代理。', 'The checksum did not match', 'It is sent again by itself; if it lasts, see what changes the way to OSS (a proxy).'],
  file_changed: ['上传时文件被改动', '文件稳定后会自动重传。', 'The file changed meanwhile', 'It is taken again by itself once it is still.'],
};

let spoken = recall('language') ?? ((navigator.language ?? '').startsWith('zh') ? 'zh' : 'en');
if (!WORDS[spoken]) spoken = 'en';

export const language = () => spoken;

export function speak(next) {
  spoken = next;
  remember('language', next);
}

/** The text for a key such as `retry` or `fields.size`; keys may come from the server, so unknown ones are shown as they are. */
export function t(key, ...values) {
  const word = key.split('.').reduce((words, part) => (words && Object.hasOwn(words, part) ? words[part] : null), WORDS[spoken]);
  return typeof word === 'function' ? word(...values) : (word ?? key);
}

/** What an `error_kind` means, and what to do about it. */
export function explain(kind) {
  const texts = Object.hasOwn(KINDS, kind) ? KINDS[kind] : [kind, '', kind, ''];
  return spoken === 'zh' ? { means: texts[0], todo: texts[1] } : { means: texts[2], todo: texts[3] };
}
