"""The name of a language goes in; the small words come out that any text of it has, whatever it is
about.

A file of its own because it is a list. The names are those of `compiler.language`.
"""

from functools import cache

_SMALL = {
    "English": (
        "a about above across after again against all almost along already also although always "
        "am among an and another any anyone anything are aren't around as at away be because "
        "been before behind being below between both but by can can't cannot could did didn't "
        "do does doesn't doing don't done down during each either else enough etc even ever "
        "every everyone everything few first for from get gets give given gives go goes had has "
        "have having he her here hers herself him himself his how however i if in instead into "
        "is isn't it it's its itself just keep know last least less let let's like made make "
        "makes many may maybe me might mine more most much must my myself neither never next no "
        "none nor not nothing now of off often on once one only or other others our ours out "
        "over own per perhaps put quite rather really same say says see seen several shall she "
        "should since so some someone something sometimes still such take takes than that "
        "that's the their theirs them themselves then there therefore these they thing things "
        "this those though through thus to together too toward towards two under until up upon "
        "us use used uses using very via want was wasn't way we well were what whatever when "
        "where whether which while who whole whom whose why will with within without won't "
        "would yes yet you your yours yourself"
    ),
    "German": (
        "ab aber alle allem allen aller alles als also am an andere anderen anderer anderes "
        "auch auf aus bei beim bereits bin bis bist da dabei dadurch dafür dagegen daher damit "
        "danach dann daran darauf daraus darf darin darüber darum das dass davon dazu dein "
        "deine dem den denen denn der deren des deshalb dessen die dies diese diesem diesen "
        "dieser dieses doch dort du durch ebenso ein eine einem einen einer eines einige "
        "einigen einmal er erst es etwa etwas euch eure für gab ganz geben gegen gegenüber gibt "
        "habe haben hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren "
        "ihrer im immer in indem ins insbesondere ist ja je jede jedem jeden jeder jedes jedoch "
        "jene jetzt kann kein keine keinen keiner können könnte lassen lässt machen macht man "
        "mehr mein meine mich mir mit möchte muss müssen nach nachdem nein nicht nichts noch "
        "nun nur ob oder ohne schon sehr sein seine seinem seinen seiner seit selbst sich sie "
        "sind so sobald sodass sogar solche soll sollen sollte sondern sonst soweit sowie "
        "sowohl statt trotz über um und uns unser unsere unter usw viel viele vielen vom von "
        "vor während war waren warum was wegen weil weiter welche welchem welchen welcher "
        "welches wenig wenige wenn wer werden weshalb wie wieder will wir wird wo wobei wodurch "
        "worden wurde wurden würde würden zu zum zur zwischen"
    ),
    "French": (
        "à afin ai ainsi alors après as assez au aucun aucune aura auront aussi autour autre "
        "autres aux avait avant avec avoir beaucoup bien c'est car ce ceci cela celle celles "
        "celui cependant certains ces cet cette ceux chaque chez comme comment d'un d'une dans "
        "de déjà depuis des dès deux donc dont du elle elles en encore entre est et étaient "
        "était étant été être eu eux fait faire faut il ils je jusqu'à jusque la là le les leur "
        "leurs lors lorsque lui ma mais même mêmes mes moi moins mon ne ni non nos notre nous "
        "on ont ou où par parce pas pendant peu peut peuvent plus plusieurs pour pourquoi "
        "pouvez puis qu'elle qu'il qu'on quand que quel quelle quelles quelque quelques quels "
        "qui quoi sa sans se selon sera seront ses seulement si soi soit son sont souvent sous "
        "sur ta te tel telle tes toi ton toujours tous tout toute toutes très trop tu un une "
        "vers voici voilà vos votre vous y"
    ),
    "Spanish": (
        "a además ahí ahora al algo algún alguna algunas algunos allí ante antes aquel aquella "
        "aquellos aquí así aún aunque bajo bien cada casi como cómo con contra cosa cual cuál "
        "cuales cuando cuándo cuanto de debe deben del desde después donde dónde dos durante e "
        "el él ella ellas ellos en entonces entre era eran eres es esa esas ese eso esos esta "
        "está estaba están estar estas este esto estos fue fueron ha había hace hacen hacer "
        "hacia han hasta hay la las le les lo los luego más me mediante menos mi mientras mis "
        "mismo misma mucho mucha muchos muchas muy nada ni ningún ninguna no nos nosotros "
        "nuestra nuestro o otra otras otro otros para pero poco por porque pues puede pueden "
        "que qué quien quién se sea según ser será si sí sido siempre sin sino sobre solo sólo "
        "son su sus también tampoco tan tanto te tiene tienen toda todas todo todos tras tu tus "
        "un una unas uno unos usted y ya yo"
    ),
    "Portuguese": (
        "a à ainda algo algum alguma algumas alguns ante antes ao aos apenas aquela aquele aqui "
        "as às assim até cada com como contra da das de dela dele deles depois desde dessa "
        "desse desta deste deve devem do dois dos duas durante e é ela elas ele eles em "
        "enquanto então entre era eram essa essas esse esses esta está estão estar estas este "
        "estes eu faz fazer foi foram há isso isto já la lhe logo mais mas me mediante meio "
        "menos mesma mesmo meu minha muita muitas muito muitos na nada não nas nem nenhum "
        "nenhuma nessa nesse nesta neste no nos nós nossa nosso num numa o onde os ou outra "
        "outras outro outros para pela pelas pelo pelos pode podem por porque porém pouco quais "
        "qual quando quanto que quê quem se seja sem sempre ser será seu seus si sido só sob "
        "sobre sua suas também tão tem têm ter toda todas todo todos tu tudo um uma umas uns "
        "você vocês"
    ),
    "Italian": (
        "a abbiamo ad agli ai al alcuna alcune alcuni all'interno alla alle allo allora altra "
        "altre altri altro anche ancora avere aveva c'è che chi ci ciò circa come con contro "
        "cosa così cui da dagli dai dal dall dalla dalle dallo degli dei del dell della delle "
        "dello dentro deve devono di dopo dove due durante e è ed era erano essere fa fare fino "
        "fra fu gli ha hai hanno ho i il in infatti inoltre io l'altro la le lei li lo loro lui "
        "ma mai me mediante meno mentre mi mia mio molta molte molti molto ne né negli nei nel "
        "nell nella nelle nello nessun nessuna niente no noi non nostra nostro o ogni oltre "
        "oppure ora per perché però più poco poi possono prima può qual quale quali qualche "
        "quando quanto quasi quella quelle quelli quello questa queste questi questo qui quindi "
        "sarà se sei sempre senza si sia siamo siano solo sono sopra sotto sta stata state "
        "stati stato sua sue sui sul sulla sulle suo suoi tra tu tutta tutte tutti tutto un una "
        "uno va verso vi voi"
    ),
    "Dutch": (
        "aan achter af al alle alleen alles als altijd ander andere anders beide ben bent bij "
        "binnen daar daarbij daarna daarom dan dat de deze die dit doen doet door dus echter "
        "een eens eerst elk elke en enkele er ervan etc ga gaan gaat geen geven had hadden heb "
        "hebben heeft heel hem het hier hij hoe hun iedere iedereen iemand iets ik in is ja je "
        "jij jou jouw jullie kan kon kunnen kunt maar maken man me meer meest men met mij mijn "
        "moet moeten na naar naast net niet niets nog nu of om omdat onder ons onze ook op over "
        "per sinds steeds te tegen tijdens toch toen tot tussen twee u uit uw van veel via vóór "
        "voor voordat waar waarbij waarom wanneer waren was wat we weer wel welk welke werd "
        "werden wie wij wil word worden wordt zal ze zeer zich zij zijn zo zoals zonder zou "
        "zouden"
    ),
    "Polish": (
        "a aby albo ale ani aż bardzo bez bo być był była było były będzie będą chce choć ci co "
        "coś czy czyli często dla dlaczego do dwa dwie gdy gdzie go i ich ile im inne inny "
        "innych ja jak jaka jaki jakie jako je jeden jednak jednym jedna jego jej jest jestem "
        "jeszcze jeśli jeżeli już każda każde każdy kiedy kilka która które którego której "
        "którzy których którym który kto lub ma mają mi między może można mogą mój mu na nad "
        "nam nas nawet nic nich nie nim niż o obok od oni oraz po pod podczas ponieważ poza "
        "przed przede przez przy są się skąd sobie swoje swój ta tak taka taki takie także tam "
        "te tego tej ten też to tu tych tylko tym tę u w wam was we wiele więc wszystkie "
        "wszystko z za zawsze ze że żeby"
    ),
    "Swedish": (
        "alla allt alltid andra annan att av bara bland blev bli blir både de dem den denna "
        "deras dess dessa det detta dig din dit ditt du där därför då efter eller en enligt ett "
        "exempel flera från fram få får för före först genom ger gör ha hade han har hela "
        "hennes här hon honom hos hur i icke in ingen inom inte jag kan kom kommer kunde kunna "
        "man med mellan men mer mest mig min mina mitt mot mycket måste många när någon något "
        "några nu och också olika om oss på samma sedan sig sin sina sitt ska skulle som så "
        "sådan till två under upp ut utan vad var vara varandra varför varit vart varje vem vi "
        "vid vilka vilken vilket vår våra vårt än ännu är även över"
    ),
    "Turkish": (
        "acaba ama ancak artık aslında az bana bazı belki ben beni benim beri bile bir biraz "
        "birçok biri birkaç biz bize bizi bizim böyle bu buna bunda bundan bunlar bunu bunun "
        "burada bütün çok çünkü da daha de defa değil diğer diye dolayı en eğer fakat gibi göre "
        "hangi hani hatta hem henüz hep hepsi her hiç için ile ilgili ise işte kadar karşı ki "
        "kim kimi mı mi mu mü nasıl ne neden nedenle nedir nerede niçin niye o olan olarak oldu "
        "olduğu olur olsa ona ondan onlar onların onu onun orada oysa önce öyle pek rağmen "
        "sadece sana sanki sen siz sizin son sonra şekilde şey şimdi şöyle şu tarafından tüm "
        "üzere üzerinde var ve veya ya yani yerine yok yoksa zaten"
    ),
    "Indonesian": (
        "ada adalah agar akan akibat anda antara apa apabila apakah atas atau bagaimana bagi "
        "bahwa banyak baru beberapa begitu belum berada berbagai bila bisa bukan dalam dan "
        "dapat dari daripada dengan demikian di dia dua hal hanya harus hingga ia ini itu jadi "
        "jika juga kami kamu karena ke kemudian kepada ketika kita lagi lain lalu lebih maka "
        "mana masih melalui memiliki mengapa menjadi mereka merupakan namun oleh orang pada "
        "para pun saat saja salah sama sampai sangat satu saya sebagai sebelum sebuah secara "
        "sedang sehingga sejak selain selama semua seorang seperti serta sesuatu setelah setiap "
        "siapa suatu sudah supaya tanpa tentang terhadap tersebut tetapi tidak untuk yaitu yang"
    ),
    "Cyrillic letters": (
        "а без более больше будет будут бы был была были было быть в вам вас весь во вот все "
        "всегда всех вы где да даже для до другие другой его ее её если есть еще ещё же за "
        "здесь и из или им имеет их к каждый как какая какие какой когда кто куда ли либо лишь "
        "между меня мне много могут может можно мой мы на над надо нас наш не него нее нет ни "
        "них но ну о об один одна одной однако он она они оно от очень по под после потом "
        "потому почему при про с сам свои своей свой своих себя со среди та так также такие "
        "такой там те тем то тогда того тоже только том тот ты у уже хотя чего чем через что "
        "чтобы чтоб эта эти этих это этого этой этом этот я"
    ),
}
HAN = "的了是在和这那也就都而及与或个我你他她它们吗呢吧被把這個們嗎與"
"""Chinese characters that are small words, and hardly ever a part of others."""


@cache
def small_words(language: str) -> frozenset[str]:
    """The small words of a language in folded case; of all languages together where its name is
    unknown.
    """
    lists = [_SMALL[language]] if language in _SMALL else _SMALL.values()
    return frozenset(word for words in lists for word in words.casefold().split())
