// Every text of the page that no other part of the program has, in both languages, and which of them is spoken.

import { recall, remember } from './memory.js';
import { TEXTS } from './texts.js';

const WORDS = {
  zh: {
    about: '品牌资质图片上传台账',
    language: '语言', theme: '外观', auto: '跟随系统', light: '浅色', dark: '深色',
    connecting: '正在连接…', live: '实时更新中', offline: (since) => (since ? `连接已断开，正在重连（内容截至 ${since}）` : '暂时连不上，正在重试…'),
    skip: '跳到图片列表',
    all: '全部图片', waiting: '等待上传', held: (n) => `待确认 ${n}`,
    waitsForOperator: '待确认：请管理员决定重传（brandpost retry --held），还是视为已上传（brandpost adopt）',
    interrupted: '中断', running: '进行中',
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
      inbox: '收件箱', next_attempt_at: '下次尝试', detected_at: '发现时间', uploaded_at: '上传时间', updated_at: '最近变化', object_url: 'OSS 地址',
      etag: 'ETag', request_id: 'Request ID', error_code: '错误码', sha256: 'SHA-256',
    },
    since: (when) => `自 ${when} 起`,
  },
  en: {
    about: 'The ledger of your brands’ pictures',
    language: 'Language', theme: 'Appearance', auto: 'Auto', light: 'Light', dark: 'Dark',
    connecting: 'Connecting…', live: 'Live', offline: (since) => (since ? `Connection lost, trying again (as of ${since})` : 'Cannot be reached, trying again…'),
    skip: 'Skip to the pictures',
    all: 'All pictures', waiting: 'Waiting', held: (n) => `${n} held`,
    waitsForOperator: 'Held: brandpost retry --held sends it again, brandpost adopt takes it as sent',
    interrupted: 'Interrupted', running: 'Under way',
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
      inbox: 'Inbox', next_attempt_at: 'Next attempt', detected_at: 'First seen', uploaded_at: 'Uploaded', updated_at: 'Last change', object_url: 'Object on OSS',
      etag: 'ETag', request_id: 'Request ID', error_code: 'Error code', sha256: 'SHA-256',
    },
    since: (when) => `since ${when}`,
  },
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
  const own = (words, part) => (words && Object.hasOwn(words, part) ? words[part] : null);
  const word = key.split('.').reduce(own, WORDS[spoken]) ?? own(TEXTS[spoken].states, key);
  return typeof word === 'function' ? word(...values) : (word ?? key);
}

/** What an `error_kind` means, and what to do about it. */
export const explain = (kind) => (Object.hasOwn(TEXTS[spoken].kinds, kind) ? TEXTS[spoken].kinds[kind] : { means: kind, todo: '' });

/** What a notice says, and what to do about it. */
export const noticed = (name) => TEXTS[spoken].notices[Object.hasOwn(TEXTS[spoken].notices, name) ? name : 'unserved'];

/** The details of a row or a notice, in the reader's language where they are ours, and which language that is. */
export const details = (row) => {
  if (row.held) return { text: t('waitsForOperator'), lang: spoken === 'zh' ? 'zh-CN' : 'en' };
  const chinese = spoken === 'zh' && row.message_zh;
  return { text: chinese || (row.error_message ?? row.message ?? ''), lang: chinese ? 'zh-CN' : 'en' };
};
