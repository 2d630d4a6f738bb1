// For the admin of the group, who knows WhatsApp and no engine rooms. In Indonesian, as everything that Klaim says to people of the group is by
// itself; below each explanation the same in English, for whoever is called. Numbers are whole, states are words, and colours mean one thing.
import type { FailureCode } from '../../contracts/codes.ts'
import { SERVICES } from '../../contracts/services.ts'
import type { Description } from './dashboard.ts'
import { bars, graph, stat, text, type Colours, type Word } from './grafana.ts'
import { around, inRange, orUnknown, somethingOf } from './queries.ts'

const both = (indonesian: string, english: string): string => `${indonesian}\n\n*${english}*`

const well = (word: string): Word => ({ text: word, colour: 'green' })
const bad = (word: string): Word => ({ text: word, colour: 'red' })
const UNKNOWN: Word = { text: 'Tidak diketahui', colour: 'orange' }
const fine: Colours = ['green', [1, 'orange'], [5, 'red']]
const never: Colours = ['green', [1, 'red']]
const services = Object.keys(SERVICES).length

/** Some that fail are no fault of anybody's: only those that were to arrive and did not. */
const UNDELIVERED = 'klaim_logins_undelivered_total{code!~"MESSAGE_EXPIRED|LOGIN_REPLACED"}'
/** The objective (services/common/lead.ts): of all claims that came to an end, those whose login was in the chat within two minutes. */
const IN_TIME = `sum(increase(klaim_claim_lead_seconds_bucket{le=~"120|120[.]0"}[$__range]))
/ (sum(increase(klaim_claim_lead_seconds_count[$__range])) + sum(increase(klaim_claims_failed_total[$__range])) + sum(increase(${UNDELIVERED}[$__range])) > 0)`

const FAILURES: Readonly<Record<FailureCode, string>> = {
  NO_FREE_PORT: 'Tempat server habis', NODE_DOWN: 'Mesin server mati', EGG_INVALID: 'Jenis server salah diatur', TEMPLATE_UNKNOWN: 'Jenis server tidak dikenal',
  INSTALL_FAILED: 'Pemasangan gagal', INSTALL_TIMEOUT: 'Pemasangan tidak selesai', HEALTHCHECK_TIMEOUT: 'Server tidak menjawab', PANEL_DOWN: 'Panel tidak bisa dihubungi',
  PANEL_KEY_REFUSED: 'Panel menolak kunci kita', PANEL_RATE_LIMITED: 'Panel terlalu sibuk', PANEL_REFUSED: 'Panel menolak', IDENTITY_CONFLICT: 'Akun panel dipakai pihak lain',
  SERVER_VANISHED: 'Server hilang dari panel', INTERNAL: 'Kesalahan di pihak kita',
}

export const overview: Description = {
  name: 'overview',
  title: 'Klaim: ringkasan',
  description: 'Keadaan Klaim untuk admin grup. Hijau: baik. Jingga: perhatikan. Merah: hubungi teknisi. / How Klaim is, for the admin of the group.',
  from: 'now-24h',
  timezone: 'Asia/Jakarta',
  rows: [
    { title: 'Sekarang: apakah semuanya baik?', panels: [
      stat('count(ALERTS{alertstate="firing", severity=~"page|ticket"}) or vector(0)', {
        title: 'Alarm', unit: 'none', colours: never, words: { 0: well('Tidak ada') }, runbook: 'looking',
        description: both('Berapa alarm yang sedang menyala. Teknisi sudah diberi tahu; kalau angkanya tidak turun dalam satu jam, tanyakan kepada mereka.', 'Alerts that fire now. The technician has been told; ask if it stays for an hour.'),
      }),
      stat('count(count by (service) (klaim_build_info)) or vector(0)', {
        title: 'Bagian Klaim yang hidup', unit: `suffix:dari ${services}`, colours: ['red', [services, 'green']], runbook: 'looking',
        description: both(`Klaim terdiri dari ${services} bagian. Kalau ada yang mati, pekerjaannya menunggu sampai hidup lagi; tidak ada yang hilang.`, 'How many of the services run. What one that is down has to do waits for it.'),
      }),
      stat(orUnknown('max(klaim_whatsapp_connection{state="open"})'), {
        title: 'Sambungan WhatsApp', unit: 'none', words: { 1: well('Tersambung'), 0: bad('Terputus'), '-1': UNKNOWN }, runbook: 'when-whatsapp-closes-the-session-for-good',
        description: both('Apakah bot tersambung ke WhatsApp. Selama terputus, tidak ada yang bisa klaim dan tidak ada pesan terkirim. Tidak ada server yang dihapus. Periksa dulu ponsel bot: hidup dan ada internet?', 'Whether the bot is connected. While it is not, nobody can claim, nothing is sent and nothing is deleted. Look at its phone first.'),
      }),
      stat(orUnknown('max(klaim_roster_reliable)'), {
        title: 'Daftar anggota grup', unit: 'none', words: { 1: well('Terbaca'), 0: bad('Tidak terbaca'), '-1': UNKNOWN }, runbook: 'looking',
        description: both('Apakah bot tahu pasti siapa yang ada di grup. Kalau tidak, tidak ada yang bisa klaim dan tidak ada yang dihapus. Periksa: apakah bot masih anggota grup?', 'Whether the bot knows who is in the group. If not, nobody can claim and nothing is deleted. Is the bot still a member?'),
      }),
      stat(orUnknown('max(klaim_panel_up)'), {
        title: 'Panel', unit: 'none', words: { 1: well('Menjawab'), 0: bad('Tidak menjawab'), '-1': UNKNOWN }, runbook: 'why-a-claim-failed-failure_code',
        description: both('Apakah panel Pterodactyl menerima permintaan kita. Kalau tidak, klaim menunggu sampai enam jam.', 'Whether the panel takes our calls. If not, claims wait up to six hours.'),
      }),
      stat(orUnknown('max(klaim_brake_on)'), {
        title: 'Penghapusan server', unit: 'none', words: { 0: well('Berjalan'), 1: { text: 'Ditahan', colour: 'orange' }, '-1': UNKNOWN }, runbook: 'first-is-data-at-risk',
        description: both('Ditahan berarti rem terpasang: tidak ada server yang dihapus, karena banyak anggota tampak keluar sekaligus atau karena teknisi memasangnya. Apakah benar banyak yang keluar? Beri tahu teknisi.', 'Held: the brake is on and nothing is deleted, because many seemed to leave at once or somebody put it on. Did they? Tell the technician.'),
      }),
    ] },
    { title: 'Klaim, selama waktu yang dipilih di kanan atas', panels: [
      stat(inRange('klaim_claims_requested_total'), { title: 'Klaim masuk', unit: 'none', decimals: 0, description: both('Berapa anggota yang mengisi formulir dan diterima.', 'Claims accepted.') }),
      stat(inRange('klaim_claims_active_total'), { title: 'Server jadi', unit: 'none', decimals: 0, description: both('Berapa server yang selesai dibuat dan sudah menjawab.', 'Servers that were made and answer.') }),
      stat(inRange('klaim_claims_failed_total'), {
        title: 'Klaim gagal', unit: 'none', decimals: 0, colours: fine, runbook: 'why-a-claim-failed-failure_code',
        description: both('Berapa klaim yang tidak menjadi server. Anggota sudah diberi tahu dan boleh klaim lagi. Alasannya ada di bawah.', 'Claims that came to no server. The member was told, and may claim again. The reasons are below.'),
      }),
      stat(inRange(UNDELIVERED), {
        title: 'Login tidak sampai', unit: 'none', decimals: 0, colours: fine, runbook: 'why-a-message-did-not-arrive',
        description: both('Servernya jadi, tetapi pesan berisi login tidak sampai di WhatsApp. Minta anggota itu menulis SANDI kepada bot.', 'The server is there and its login did not arrive. Let that member write SANDI to the bot.'),
      }),
      stat(IN_TIME, {
        title: 'Selesai dalam 2 menit', unit: 'percentunit', decimals: 0, colours: ['red', [0.9, 'orange'], [0.95, 'green']], none: 'Belum ada klaim', runbook: 'looking',
        description: both('Dari semua klaim, berapa persen yang loginnya sampai dalam dua menit. Targetnya 95 dari 100. Kalau klaimnya sedikit, satu yang lambat sudah terlihat banyak.', 'Of all claims, those whose login arrived within two minutes. The objective is 95 of 100; where claims are few, one weighs much.'),
      }),
      stat('histogram_quantile(0.5, sum by (le) (increase(klaim_claim_lead_seconds_bucket[$__range]))) > 0', {
        title: 'Biasanya menunggu', unit: 'suffix:detik', decimals: 0, colours: ['green', [120, 'orange'], [180, 'red']], none: 'Belum ada klaim',
        description: both('Separuh anggota menunggu lebih singkat dari ini, dari formulir sampai login ada di WhatsApp.', 'Half of the members waited less than this, from the form to the login.'),
      }),
    ] },
    { title: 'Anggota yang keluar, selama waktu yang dipilih', panels: [
      stat(inRange('klaim_deletions_scheduled_total'), { title: 'Keluar dari grup', unit: 'none', decimals: 0, description: both('Berapa pemilik server yang keluar dari grup. Mereka langsung diberi tahu, dan servernya masih ada selama empat jam.', 'Owners of a server who left. They are warned at once, and keep it for the grace.') }),
      stat(inRange('klaim_deletions_cancelled_total'), { title: 'Kembali ke grup', unit: 'none', decimals: 0, description: both('Berapa yang kembali tepat waktu, sehingga servernya tetap ada.', 'Those who came back in time and keep their server.') }),
      stat(inRange('klaim_claims_deleted_total'), { title: 'Server dihapus', unit: 'none', decimals: 0, description: both('Berapa server yang sudah dihapus karena pemiliknya tidak kembali.', 'Servers that were deleted because their owner did not come back.') }),
      stat('sum(max_over_time(klaim_deletions_of_present_total[$__range]))', {
        title: 'Penghapusan keliru', unit: 'none', decimals: 0, colours: never, runbook: 'first-is-data-at-risk',
        description: both('Server anggota yang masih ada di grup. Harus selalu 0. Kalau tidak, hubungi teknisi SEKARANG dan minta rem dipasang.', 'Servers of members who are in the group. Always 0. If not, call the technician NOW and have the brake put on.'),
      }),
      stat('max(klaim_deletions_overdue_seconds) / 60', {
        title: 'Penghapusan terlambat', unit: 'suffix:menit', decimals: 0, colours: ['green', [10, 'orange'], [30, 'red']], none: UNKNOWN.text, runbook: 'looking',
        description: both('Berapa lama server yang seharusnya sudah dihapus masih ada. Tidak berbahaya, hanya terlambat.', 'How late the latest deletion is. No harm, only late.'),
      }),
      stat('max(klaim_dead_letters)', {
        title: 'Pekerjaan yang macet', unit: 'none', decimals: 0, colours: never, none: UNKNOWN.text, runbook: 'doing',
        description: both('Pekerjaan yang berkali-kali gagal dan menunggu teknisi. Tersimpan dan bisa diulang setelah penyebabnya diperbaiki.', 'Dead letters: what could not be handled. Kept, and replayed when the reason is mended.'),
      }),
    ] },
    { title: 'Grup dan server, sekarang', panels: [
      stat('max(klaim_roster_members)', { title: 'Anggota grup', unit: 'none', decimals: 0, none: UNKNOWN.text, description: both('Berapa orang di grup, tanpa bot.', 'People in the group, without the bot.') }),
      stat('max(klaim_claims{status="active"})', { title: 'Server yang dipakai', unit: 'none', decimals: 0, none: UNKNOWN.text, description: both('Server anggota yang ada sekarang.', 'Servers that members have now.') }),
      stat('max(klaim_claims{status="creating"})', { title: 'Sedang dibuat', unit: 'none', decimals: 0, none: UNKNOWN.text, description: both('Klaim yang sedang dikerjakan.', 'Claims under way.') }),
      stat('max(klaim_claims{status="deleting"})', { title: 'Akan dihapus', unit: 'none', decimals: 0, none: UNKNOWN.text, description: both('Server yang pemiliknya keluar dan masih bisa kembali, atau yang sedang dihapus.', 'Servers whose owner left and may come back, or that are being deleted.') }),
      stat('sum(max by (node) (klaim_panel_free_allocations))', {
        title: 'Tempat kosong', unit: 'none', decimals: 0, colours: ['red', [5, 'orange'], [20, 'green']], none: UNKNOWN.text, runbook: 'code-no-free-port',
        description: both('Berapa server lagi yang muat di panel. Kalau habis, klaim berikutnya gagal: minta teknisi menambah.', 'How many more servers fit. At 0 claims fail: have ports added on the panel.'),
      }),
      stat(orUnknown('(time() - max(klaim_backup_verified_timestamp_seconds > 0)) / 3600'), {
        title: 'Cadangan terakhir', unit: 'suffix:jam lalu', decimals: 0, colours: ['green', [7, 'orange'], [13, 'red']], words: { '-1': bad('Belum ada') }, runbook: 'backups',
        description: both('Kapan data Klaim terakhir disalin dan diperiksa. Seharusnya setiap enam jam.', 'When the newest verified backup was made. There should be one every six hours.'),
      }),
    ] },
    { title: 'Dari waktu ke waktu', panels: [
      graph([
        { expr: around('klaim_claims_requested_total'), legend: 'Masuk' }, { expr: around('klaim_claims_active_total'), legend: 'Server jadi' }, { expr: around('klaim_claims_failed_total'), legend: 'Gagal' },
      ], { title: 'Klaim per jam', unit: 'none', decimals: 0, step: '1h', form: 'bars', description: both('Satu batang untuk satu jam (atau lebih, kalau waktu yang dipilih panjang).', 'One bar for an hour, or more where a long time is shown.') }),
      graph([
        { expr: around('klaim_deletions_scheduled_total'), legend: 'Keluar' }, { expr: around('klaim_deletions_cancelled_total'), legend: 'Kembali' }, { expr: around('klaim_claims_deleted_total'), legend: 'Server dihapus' },
      ], { title: 'Keluar dan kembali per jam', unit: 'none', decimals: 0, step: '1h', form: 'bars', description: both('Pemilik server yang keluar dari grup, yang kembali, dan server yang dihapus.', 'Owners who left, who came back, and servers that were deleted.') }),
      bars({ expr: somethingOf('klaim_claims_failed_total', 'code', 'Tidak ada'), legend: '{{code}}' }, {
        title: 'Mengapa klaim gagal', unit: 'none', decimals: 0, colours: ['green', [1, 'orange']], names: FAILURES, runbook: 'why-a-claim-failed-failure_code',
        description: both('Alasan klaim gagal selama waktu yang dipilih, dan berapa kali.', 'Why claims failed in the time that is shown, and how often.'),
      }),
    ] },
    { title: 'Bantuan', panels: [
      text([
        '**Hijau**: baik. **Jingga**: perhatikan, biasanya pulih sendiri. **Merah**: hubungi teknisi dan sebutkan judul kotaknya. **Tidak diketahui**: bagian yang tahu jawabannya sedang mati.',
        'Arahkan penunjuk ke tanda ⓘ di samping judul kotak: di sana tertulis apa artinya dan apa yang bisa dilakukan sendiri.',
        'Anggota tidak menerima login? Minta dia menulis **SANDI** kepada bot. Anggota ingin tahu keadaan klaimnya? Minta dia menulis **STATUS**.',
        'Ragu apakah ada server yang terhapus padahal pemiliknya masih di grup? Minta teknisi memasang **rem**; itu tidak merusak apa pun.',
      ].join('\n\n'), { title: 'Apa yang harus dilakukan?', width: 24, height: 6, description: both('Arti warna dan langkah pertama.', 'What the colours mean, and the first steps.') }),
    ] },
  ],
}
