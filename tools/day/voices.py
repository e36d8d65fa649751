"""What people are called and what they write, language by language. `{n}` becomes an order number."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Voice:
    """`country` is where a speaker's foreign number comes from."""

    code: str
    country: str
    given: tuple[str, ...]
    family: tuple[str, ...]
    lines: tuple[str, ...]


def _voice(code: str, country: str, given: str, family: str, *lines: str) -> Voice:
    return Voice(code, country, tuple(given.split()), tuple(family.split()), lines)


VOICES = {
    voice.code: voice
    for voice in (
        _voice(
            "de", "DE", "Jürgen Käthe Zoë Björn Mia Lukas Änne Sören Heike Günther",
            "Müller Weiß Großmann Öztürk Schäfer Lüdenscheidt-Brüggemann Köhler Voß",
            "Guten Morgen, wo bleibt meine Bestellung {n}?", "Vielen Dank, hat alles geklappt!",
            "Könnten Sie mir bitte die Rechnung zu {n} schicken?", "Größe 42 wäre schön. Gibt’s die noch?",
            "Ich möchte {n} zurückgeben – geht das über die Packstation?", "Passt, bis später 👋",
            "Ja", "nein danke",
            "Der Schlüssel passt nicht, habe ich den falschen bekommen?",
            "Straße stimmt: Weißenburger Straße 8½",
        ),
        _voice(
            "en", "GB",
            "Oliver Aoife Siân Grace Noah D'Arcy Zara Jean-Luc", "O'Neill Smith MacDonald Okonkwo Brontë",
            "Hi, any news on order {n}?", "Thanks so much!", "It's £24.99 on your site but I paid €31?? ({n})",
            "Could you call me back after 5pm please", "ok",
            "Where do I enter the code?", "Please don't stop the delivery",
            "I’ve moved house — can you change the address on {n}?",
            "😂😂😂", "STOP sending the blue ones, I ordered green",
        ),
        _voice(
            "fr", "FR", "Éloïse Loïc Maëlys François Chloé", "Lefèvre Çelik Dupré L'Hôte Bœuf",
            "Bonjour, où en est ma commande {n} ?", "Merci beaucoup !",
            "C’est noté, à bientôt…", "Ça ne marche toujours pas",
            "Pourriez-vous m’envoyer la facture n° {n} ?", "Déjà reçu, très bien emballé 👌",
        ),
        _voice(
            "pl", "PL",
            "Łukasz Świętosława Żaneta Paweł Zbigniew", "Wójcik Żółć Śliwiński Brzęczyszczykiewicz Kowalska",
            "Dzień dobry, kiedy przyjdzie paczka {n}?", "Dziękuję bardzo",
            "Zażółć gęślą jaźń :)", "Proszę o fakturę do {n}",
            "Czy można zapłacić przelewem?", "Jeszcze nic nie doszło…",
        ),
        _voice(
            "tr", "TR", "İpek Çağlar Şule Oğuz Işıl", "Yılmaz Güneş Çiftçi Özdemir İnönü",
            "Merhaba, {n} numaralı siparişim nerede?",
            "Teşekkürler, çok sağ olun", "Iğdır'a da gönderiyor musunuz?",
            "İade etmek istiyorum", "tamam", "Fatura gelmedi hâlâ",
        ),
        _voice(
            "el", "GR", "Ελένη Γιώργος Δέσποινα Κωνσταντίνος", "Παπαδόπουλος Οικονόμου Βλάχος Αγγελίδη",
            "Καλημέρα, πού βρίσκεται η παραγγελία {n};", "Ευχαριστώ πολύ!", "Δεν έχω λάβει ακόμη το τιμολόγιο",
            "Μπορώ να αλλάξω τη διεύθυνση;", "εντάξει",
        ),
        _voice(
            "ru", "RU", "Алёна Юрий Екатерина Фёдор Щукарь", "Ёлкин Кузнецова Цой Мельниченко Шишкин",
            "Здравствуйте! Где мой заказ {n}?", "Спасибо большое", "Ещё не пришло, проверьте пожалуйста",
            "Можно оплатить картой?", "Да", "Подъезд 3, этаж 12, домофон не работает",
        ),
        _voice(
            "pt", "BR", "João Conceição Thaís Antônio Luísa Zé Inês", "Gonçalves d'Ávila Araújo Simões Brandão",
            "Oi, tudo bem? Cadê meu pedido {n}?", "Obrigada!! ❤️",
            "Não recebi ainda não", "Pode ser pix?", "kkkkkk",
            "Bom dia! Vocês entregam em São Gonçalo do Amarante?", "Quero trocar o tamanho do {n}, dá?",
            "Já mandei o comprovante 🧾", "Blz 👍🏽", "A moça do caixa disse que é até amanhã às 18h",
        ),
        _voice(
            "es", "MX", "Íñigo Begoña Ángel Nuria Peñaloza", "Muñoz Ibáñez García-Márquez Güell",
            "¿Dónde está mi pedido {n}?", "¡Muchísimas gracias!",
            "Mañana paso por la tienda", "¿Aceptan tarjeta?", "vale",
            "Se me rompió el año pasado también 😕",
        ),
        _voice(
            "ja", "JP", "美咲 健太 さくら 翔 ゆい 大輔", "佐藤 髙橋 渡邉 山﨑 小鳥遊",
            "おはようございます。予約番号{n}の件です。", "ありがとうございます！🙇‍♀️",
            "キャンセルできますか？", "了解です",
            "ﾊﾝｶｸでも大丈夫ですか",
            "駅からの行き方を教えてください🚉", "領収書を「株式会社🌸さくら」宛てでお願いします",
        ),
        _voice(
            "ko", "KR", "민준 서연 지후 하은",
            "김 이 박 최 남궁", "예약 {n} 확인 부탁드립니다.", "감사합니다~", "언제 출발하나요?",
            "ㅋㅋㅋㅋ 네", "환불은 어떻게 하나요?", "체크인 시간이 궁금해요 🇰🇷",
        ),
        _voice(
            "zh", "TW", "小明 麗華 志强 欣怡",
            "陳 王 歐陽 李 諸葛", "你好，請問訂單{n}什麼時候到？", "谢谢！", "可以退款嗎？",
            "我們四個人，𠮷野家見", "收到👌", "发票抬头写“北京某某科技有限公司”",
        ),
        _voice(
            "th", "TH", "สมชาย กานดา ณัฐวุฒิ พิมพ์ชนก",
            "ใจดี ศรีสุวรรณ ทองคำ", "สวัสดีค่ะ รายการ {n} ถึงไหนแล้วคะ", "ขอบคุณค่ะ",
            "โอเคครับ", "เปลี่ยนวันเดินทางได้ไหมครับ", "ที่พักมีน้ำแข็งไหมคะ",
        ),
        _voice(
            "hi", "IN", "आरव प्रिया श्रेया विक्रम ज्योति", "शर्मा अग्रवाल द्विवेदी कृष्णमूर्ति",
            "नमस्ते, अपॉइंटमेंट {n} की पुष्टि करें", "धन्यवाद 🙏",
            "डॉक्टर कब मिलेंगे?", "ठीक है", "रिपोर्ट अभी तक नहीं आई",
            "क्या मैं कल १० बजे आ सकता हूँ?",
        ),
        _voice(
            "ar", "SA", "محمد فاطمة عبدالرحمن لُجَين", "الأحمد السعيد بن‌يوسف الزهراني",
            "السلام عليكم، أين طلبي رقم {n}؟", "شكراً جزيلاً",
            "متى الموعد؟", "تمام 👍", "أرسلت لكم التقرير في ملف PDF أمس",
        ),
        _voice(
            "he", "IL", "נועה יוסף שירה אברהם",
            "כהן לוי בן־דוד מזרחי", "שלום, מה קורה עם תור {n}?", "תודה רבה!",
            "אפשר לשנות ל־15:30?", "בסדר גמור", "עדיין לא קיבלתי SMS עם הקוד",
        ),
    )
}  # fmt: skip

EMOJI = (
    "👍", "❤️", "🎉", "👩🏽‍💻", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇧🇷🇯🇵🇮🇳", "1️⃣", "🙏🏿", "🫠", "👁️‍🗨️", "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
)  # fmt: skip

REACTIONS = ("👍", "❤️", "😂", "🙏", "👎🏼", "🧑‍🚀", "🇯🇵", "")

SPAM = (
    "🔥🔥 GANHE R$ {n} POR DIA!!! clique aqui → http://spam.example/{n}",
    "Congratulations!!! You won iPhone №{n}. Claim: http://win.example/?id={n}",
    "Кредит без отказа до {n} ₽!!! Пишите в Telegram @example_{n}",
    "💰 투자 수익 {n}% 보장! 지금 입장하세요",
    "加微信 wx{n} 高薪兼职，日结 💴",
    "H̴̢͘e̸l̶l̵o̸ d̷e̸a̶r̴, b̵u̶s̷i̵n̸e̶s̷s̴ offer {n}",
    "Loan Loan Loan!! {n} approved",
)

OPT_OUT = ("STOP", "stop", "Stop.", " STOP ", "UNSUBSCRIBE", "Arret!", "stopall", "Quit", "\nEND\n", "CANCEL")
NO_OPT_OUT = ("STOP it", "please stop", "Stop..", "STOPP", "Halt")
OPT_IN = ("START", "start", "Unstop", "START!")
