"""Texts that tests of the sift plant: answers with and without their document, facts and tasks."""

BREAD = """# Sourdough at the Mill Street bakery

The bakery on Mill Street was opened in 1987 by Agnes Holm. Its sourdough starter is fed twice a
day with rye flour and water at 24 degrees Celsius. The dough rests for 16 hours in linen baskets
before it is baked. Loaves are baked in a brick oven that is heated with beech wood.

A loaf weighs 1,200 grams before baking and loses about 15 percent of its weight in the oven. The
crust is dark because the oven is opened only once. Day-old bread is given to the shelter in Port
Ansel, which collects it every morning at 6.
"""
BIRD = """# The marsh warbler of Lake Tarn

Marsh warblers arrive at Lake Tarn in the second half of May and leave for southern Africa in
August. The male imitates the calls of more than 70 other species. The nest hangs between nettle
stems, about 40 centimetres above the ground, and holds 4 or 5 greenish eggs.

Both parents sit on the eggs for 13 days. Ringing by Lena Okafor since 1996 shows that most birds
return to the same bank of the lake. Mowing the nettles before the middle of July destroys the
broods, so the county forbids it.
"""
SUPPORTED = {
    BREAD: [
        ("Who opened the bakery?", "It was opened by Agnes Holm."),
        ("When was the bakery opened?", "The bakery opened in 1987."),
        ("How often is the starter fed?", "It is fed twice a day, with rye flour and water."),
        ("How long does the dough rest?", "For 16 hours, in baskets of linen, before baking."),
        ("What heats the oven?", "The brick oven is heated with beech wood."),
        ("What does a loaf weigh before baking?", "1200 grams."),
        ("How much weight does it lose?", "It loses some 15 percent of its weight in the oven."),
        ("Why is the crust dark?", "The crust is dark because the oven is only opened once."),
        ("Who gets old bread?", "Bread that is a day old is given to the shelter in Port Ansel."),
        ("How warm is the water?", "Rye flour and water are kept at 24 degrees Celsius."),
    ],
    BIRD: [
        ("When do the birds arrive?", "They arrive in the second half of May."),
        ("Where do they go?", "In August they leave for southern Africa."),
        ("What does the male imitate?", "The calls of more than 70 species other than its own."),
        ("Where is the nest?", "It hangs between the stems of nettles, 40 centimetres high."),
        ("How many eggs are there?", "The nest holds 4 or 5 eggs, which are greenish."),
        ("Who sits on the eggs?", "Both parents do, for 13 days."),
        ("Who rings them?", "Lena Okafor has been ringing birds there since 1996."),
        ("What does ringing show?", "Most of the birds return to the same bank of the lake."),
        ("What destroys broods?", "Mowing nettles before mid July, so the county forbids it."),
        ("What colour are the eggs?", "They are greenish."),
    ],
}
ABSENT = {
    BREAD: [
        ("Who opened the bakery?", "It was opened by Gregor Tamm and his brother."),
        ("When was the bakery opened?", "The bakery was opened in 1979."),
        ("What is the starter fed with?", "With spelt, honey and grated potatoes."),
        ("How long does the dough rest?", "It rests for 36 hours before it is baked."),
        ("What heats the oven?", "Gas burners from a factory in Milan heat the oven."),
        ("What does a loaf weigh?", "A loaf weighs 1,750 grams before baking."),
        ("How much weight does it lose?", "It loses 22.5 percent in the oven."),
        ("Why is the crust dark?", "Molasses and roasted malt are brushed over the surface."),
        ("Who gets old bread?", "Farmers feed it to their pigs and chickens in winter."),
        ("How warm is the water?", "It is kept at 31 degrees Celsius."),
    ],
    BIRD: [
        ("When do the birds arrive?", "They come back around the 12th of March."),
        ("Where do they go?", "They spend winter near Marseille and Barcelona."),
        ("What does the male imitate?", "It copies car alarms, telephones and chainsaws."),
        ("Where is the nest?", "It hangs about 95 centimetres above the ground."),
        ("How many eggs are there?", "The nest holds 9 eggs."),
        ("Who sits on the eggs?", "Both parents sit on the eggs for 21 days."),
        ("Who rings them?", "Professor Matteo Ricci rings them with students."),
        (
            "What does ringing show?",
            "Young males wander widely and settle beside rivers elsewhere.",
        ),
        ("What destroys broods?", "Cuckoos, weasels and heavy storms destroy nearly every clutch."),
        ("What colour are the eggs?", "Bright turquoise with purple speckles and golden streaks."),
    ],
}
FACTOIDS = [
    ("Who won the league match between Dover and Hythe on 3 March 2019?", "Dover, 2-1."),
    ("What was the final score of the 2014 cup final?", "3-2"),
    ("When did the band Larkspur release its third album?", "On 14 June 2011."),
    ("Who is the current mayor of Ansel?", "Ingrid Voss."),
    ("How many medals did Norway win at the Winter Olympics in 2018?", "39"),
    ("Where was the world cup held in 1930?", "In Uruguay."),
    ("What is the latest version of the Quill editor?", "Version 4.2."),
    ("Which team finished last in the league last season?", "Hythe United."),
    ("Who scored the winning goal in yesterday's match?", "Tomas Berg"),
    ("What was the closing price of Norvik shares on Friday?", "41.20 euros."),
    ("Who won the best actress award in 1998?", "Helen Hunt."),
    ("How many people attended the concert at the harbour last night?", "About 12,000."),
    ("In what year did the film The Long Tide premiere?", "2003"),
    ("Who is the president of the chess federation at the moment?", "Arkady D."),
    ("Name the winner of the 2021 song contest.", "Måneskin."),
    ("What rank did the song Paper Boats reach in the charts?", "Number 7."),
    ("When does the new season of Harbour Lights start?", "On 9 October."),
    ("Which country won the most gold medals in 2012?", "The United States."),
    ("Who holds the world record in the women's marathon?", "Ruth Chepngetich."),
    ("How much did a ticket to the derby cost?", "35 pounds."),
    ("What is today's exchange rate of the euro?", "1.08 dollars."),
    ("Who was elected prime minister in 1979?", "Margaret Thatcher."),
    ("When was the footballer Ola Brandt born?", "On 4 May 1992."),
    ("Which player received the transfer fee record in 2017?", "Neymar."),
    ("Where did the band play the last concert of its tour?", "In Lisbon."),
    ("How many goals did Ola Brandt score this season?", "17"),
    ("Who came second in the presidential election of 2002?", "Le Pen"),
    ("What was the attendance at the opening match?", "45,112"),
    ("Who is the reigning world chess champion?", "Gukesh D."),
    ("When did the company Norvik go to the stock exchange?", "In November 2015."),
    ("Which film topped the box office last weekend?", "Harbour Lights"),
    ("Who coached the team in the final?", "Marta Silva."),
    ("What was the population of Ansel in 2020?", "18,431"),
    ("On what day did the tournament begin?", "On Monday, 11 July."),
    ("Who wrote the number one song of 1985?", "Per Nilsen"),
    ("What is the most followed account these days?", "Cristiano's."),
    ("How many votes did the mayor receive in the last election?", "8,204"),
    ("Who was the captain of the winning side in 1966?", "Bobby Moore."),
    ("What did the painting fetch at the auction in May?", "1.2 million."),
    ("Wer gewann das Finale 1974?", "Deutschland."),
]
REASONING = [
    ("Explain why the sky is blue.", "Short waves are scattered more than long ones."),
    ("If a train leaves at 9:15 and needs 50 minutes, when does it arrive?", "At 10:05."),
    (
        "Write a haiku about rain.",
        "Rain on the tin roof / a cat counts the falling drops / and loses count twice",
    ),
    ("What is 17 times 23?", "391"),
    ("Rewrite the sentence in the passive: The dog bit the man.", "The man was bitten by the dog."),
    ("Which of these is a mammal: trout, otter, newt?", "The otter."),
    ("Solve 3x + 4 = 19.", "x = 5"),
    ("Translate 'good morning' into Spanish.", "Buenos días."),
    ("What comes next: 2, 4, 8, 16?", "32"),
    ("Who is the subject of the sentence 'Anna won the race'?", "Anna."),
    ("How does a lever make work easier?", "It trades distance for force."),
    ("Sort these words: pear, apple, fig.", "apple, fig, pear"),
    ("Is the statement 'all cats are dogs' logically valid?", "No."),
    ("Suggest a title for a story about a lost key.", "The Door Without a Room"),
    ("What is the area of a triangle with base 6 and height 4?", "12"),
    ("How many prime numbers are there below 20?", "8"),
    ("Convert 68 degrees Fahrenheit to Celsius.", "20 degrees."),
    ("Why do boats float?", "They push aside water that weighs as much as they do."),
    ("Which word rhymes with moon: sun or spoon?", "Spoon."),
    ("Give the plural of mouse.", "Mice."),
    ("What is the next prime after 31?", "37"),
    ("Summarise the plot in one line: a boy finds a dragon.", "A boy befriends a dragon."),
    ("How many vowels are in 'education'?", "5"),
    ("Write a Python function that adds two numbers.", "def add(a, b): return a + b"),
    ("What is half of 250?", "125"),
    ("If all bloops are razzies, are all razzies bloops?", "Not necessarily."),
    ("Which is heavier, a kilo of lead or of feathers?", "Neither."),
    ("How would you calm a nervous friend?", "Listen, then breathe slowly together."),
    ("What is the opposite of generous?", "Stingy."),
    ("Complete the analogy: hand is to glove as foot is to ...", "Sock."),
    ("How many sides do three hexagons have in all?", "18"),
    ("Who would be to blame if the brakes fail after a bad repair?", "The garage."),
    ("What tense is 'had gone'?", "Past perfect."),
    ("Where does the comma belong in 'Lets eat grandma'?", "Before grandma."),
    ("What does the function f(x) = x*x return for 9?", "81"),
    ("Estimate how many hours are in 3 weeks.", "504"),
    ("Is 91 a prime number?", "No, it is 7 times 13."),
    ("Give an example of a simile.", "As quiet as snow."),
    ("What is the sum of the angles of a triangle?", "180 degrees."),
    ("How should one address a judge in a letter?", "Your Honour."),
]
HARD = [
    ("How many moles are in 36 grams of water?", "2"),
    ("How many days are there from 3 March 2021 to 10 April 2021?", "38"),
    ("What day of the week is 100 days after a Monday?", "Wednesday."),
    ("If she was born in 1980, how old is she in 2020?", "40"),
    ("How many years lie between 1914 and 1945?", "31"),
    ("A ticket costs 8 euros; how much do 7 tickets cost?", "56 euros."),
    ("When does a meeting end if it starts at 14:30 and lasts 95 minutes?", "At 16:05."),
    ("Is 1900 a leap year?", "No."),
    ("Which is larger, 3/4 or 5/8?", "3/4"),
    ("How many atoms of oxygen are in two molecules of water?", "2"),
    ("Where should the decimal point go in 25 times 0.4?", "10.0"),
    ("Write 2024 in Roman numerals.", "MMXXIV"),
    ("What century does the year 1789 belong to?", "The 18th century."),
    ("Who speaks in the sentence: 'I lost the match,' said Tom?", "Tom."),
    ("Extract the date: The concert is on 4 May 2023.", "4 May 2023"),
    ("How many seconds are in 2 hours?", "7200"),
    ("If shares rise from 40 to 50 euros, by how much do they rise in percent?", "25 percent."),
    ("What is the average of the scores 3, 5 and 10?", "6"),
    ("What time is it in Tokyo when it is 12:00 in a zone nine hours behind?", "21:00"),
    ("How many games are played when 6 teams each meet once?", "15"),
]
