"""Write the bundled conversations: data/sample/train.jsonl and data/sample/val.jsonl.

Reads nothing; everything the small chatbot is taught stands in the tables below. Each fact has one answer and a pool of
wordings of its question. One wording of every fact is held out for val.jsonl; another fact of the same kind shows
that wording in train.jsonl, so a model that has understood the kind can answer it. A wording that starts with a
small letter gives a question wholly in small letters, as people type.

    python data/sample/generate.py                     # rewrite both files beside this script
    python data/sample/generate.py --out_dir /tmp/x    # write them somewhere else

Takes less than a second. The output depends on nothing but this file.
"""

from __future__ import annotations

import argparse
import json
import random
import os
from pathlib import Path
from typing import NamedTuple

DONT_KNOW = "I don't know that. I am a small model and was only taught a little."

# ---------------------------------------------------------------------------------------------------------------------
# Facts of a kind: wordings shared by the kind, an answer, and one row for each fact

CAPITAL = (
    [
        "What is the capital of {0}?",
        "Tell me the capital of {0}.",
        "capital of {0}?",
        "Which city is the capital of {0}?",
        "Do you know the capital of {0}?",
        "please name the capital of {0}",
        "I'd like to know the capital of {0}.",
        "whats the capital city of {0}",
    ],
    "The capital of {0} is {1}.",
    [
        ("France", "Paris"),
        ("Germany", "Berlin"),
        ("Italy", "Rome"),
        ("Spain", "Madrid"),
        ("Portugal", "Lisbon"),
        ("the United Kingdom", "London"),
        ("Ireland", "Dublin"),
        ("Belgium", "Brussels"),
        ("Austria", "Vienna"),
        ("Denmark", "Copenhagen"),
        ("Sweden", "Stockholm"),
        ("Norway", "Oslo"),
        ("Finland", "Helsinki"),
        ("Iceland", "Reykjavik"),
        ("Poland", "Warsaw"),
        ("Hungary", "Budapest"),
        ("Romania", "Bucharest"),
        ("Bulgaria", "Sofia"),
        ("Greece", "Athens"),
        ("Croatia", "Zagreb"),
        ("Slovenia", "Ljubljana"),
        ("Estonia", "Tallinn"),
        ("Latvia", "Riga"),
        ("Lithuania", "Vilnius"),
        ("Ukraine", "Kyiv"),
        ("Russia", "Moscow"),
        ("Turkey", "Ankara"),
        ("Morocco", "Rabat"),
        ("Algeria", "Algiers"),
        ("Tunisia", "Tunis"),
        ("Kenya", "Nairobi"),
        ("Ethiopia", "Addis Ababa"),
        ("Ghana", "Accra"),
        ("Nigeria", "Abuja"),
        ("Angola", "Luanda"),
        ("Namibia", "Windhoek"),
        ("Rwanda", "Kigali"),
        ("Japan", "Tokyo"),
        ("China", "Beijing"),
        ("India", "New Delhi"),
        ("Nepal", "Kathmandu"),
        ("Pakistan", "Islamabad"),
        ("Thailand", "Bangkok"),
        ("Vietnam", "Hanoi"),
        ("Mongolia", "Ulaanbaatar"),
        ("South Korea", "Seoul"),
        ("the Philippines", "Manila"),
        ("Iraq", "Baghdad"),
        ("Jordan", "Amman"),
        ("Lebanon", "Beirut"),
        ("Saudi Arabia", "Riyadh"),
        ("Afghanistan", "Kabul"),
        ("Canada", "Ottawa"),
        ("the United States", "Washington, D.C."),
        ("Mexico", "Mexico City"),
        ("Cuba", "Havana"),
        ("Colombia", "Bogotá"),
        ("Peru", "Lima"),
        ("Chile", "Santiago"),
        ("Argentina", "Buenos Aires"),
        ("Ecuador", "Quito"),
        ("Venezuela", "Caracas"),
        ("Australia", "Canberra"),
        ("New Zealand", "Wellington"),
    ],
)

CURRENCY = (
    [
        "What is the currency of {0}?",
        "Which currency is used in {0}?",
        "currency of {0}?",
        "Tell me the currency of {0}.",
        "Do you know the currency of {0}?",
        "what money do people use in {0}",
        "I'd like to know the currency of {0}.",
    ],
    "The currency of {0} is the {1}.",
    [
        ("France", "euro"),
        ("Germany", "euro"),
        ("Italy", "euro"),
        ("Spain", "euro"),
        ("Poland", "zloty"),
        ("Norway", "Norwegian krone"),
        ("Sweden", "Swedish krona"),
        ("Japan", "yen"),
        ("India", "Indian rupee"),
        ("Thailand", "baht"),
        ("Vietnam", "dong"),
        ("South Korea", "won"),
        ("Canada", "Canadian dollar"),
        ("Mexico", "Mexican peso"),
        ("Kenya", "Kenyan shilling"),
        ("the United States", "US dollar"),
    ],
)

CONTINENT = (
    [
        "Which continent is {0} on?",
        "On which continent is {0}?",
        "continent of {0}?",
        "Tell me the continent of {0}.",
        "What continent does {0} belong to?",
        "do you know on which continent {0} lies",
        "I'd like to know the continent of {0}.",
    ],
    "{0} is a country in {1}.",
    [
        ("France", "Europe"),
        ("Germany", "Europe"),
        ("Italy", "Europe"),
        ("Spain", "Europe"),
        ("Poland", "Europe"),
        ("Norway", "Europe"),
        ("Sweden", "Europe"),
        ("Japan", "Asia"),
        ("India", "Asia"),
        ("Thailand", "Asia"),
        ("Vietnam", "Asia"),
        ("South Korea", "Asia"),
        ("Canada", "North America"),
        ("Mexico", "North America"),
        ("Kenya", "Africa"),
        ("the United States", "North America"),
        ("China", "Asia"),
        ("Nigeria", "Africa"),
        ("Peru", "South America"),
        ("Argentina", "South America"),
        ("Ghana", "Africa"),
    ],
)

SYMBOL = (
    [
        "What is the chemical symbol of {0}?",
        "What is the symbol for {0}?",
        "symbol of {0}?",
        "Tell me the chemical symbol for {0}.",
        "Which symbol does {0} have in the periodic table?",
        "do you know the chemical symbol of {0}",
        "I'd like to know the symbol of {0}.",
    ],
    "The chemical symbol of {0} is {1}.",
    [
        ("hydrogen", "H"),
        ("helium", "He"),
        ("lithium", "Li"),
        ("carbon", "C"),
        ("nitrogen", "N"),
        ("oxygen", "O"),
        ("neon", "Ne"),
        ("sodium", "Na"),
        ("magnesium", "Mg"),
        ("aluminum", "Al"),
        ("silicon", "Si"),
        ("sulfur", "S"),
        ("chlorine", "Cl"),
        ("potassium", "K"),
        ("calcium", "Ca"),
        ("iron", "Fe"),
        ("nickel", "Ni"),
        ("copper", "Cu"),
        ("zinc", "Zn"),
        ("silver", "Ag"),
        ("tin", "Sn"),
        ("iodine", "I"),
        ("gold", "Au"),
        ("mercury", "Hg"),
        ("lead", "Pb"),
        ("uranium", "U"),
    ],
)

BOOK = (
    [
        "Who wrote {0}?",
        "Who is the author of {0}?",
        "author of {0}?",
        "Tell me who wrote {0}.",
        "Do you know who wrote {0}?",
        "i wonder who wrote {0}",
        "I'd like to know the author of {0}.",
    ],
    "{0} was written by {1}.",
    [
        ("Hamlet", "William Shakespeare"),
        ("Romeo and Juliet", "William Shakespeare"),
        ("Don Quixote", "Miguel de Cervantes"),
        ("War and Peace", "Leo Tolstoy"),
        ("Crime and Punishment", "Fyodor Dostoevsky"),
        ("Pride and Prejudice", "Jane Austen"),
        ("Oliver Twist", "Charles Dickens"),
        ("Moby-Dick", "Herman Melville"),
        ("Frankenstein", "Mary Shelley"),
        ("Dracula", "Bram Stoker"),
        ("The Divine Comedy", "Dante Alighieri"),
        ("The Metamorphosis", "Franz Kafka"),
        ("The Hobbit", "J. R. R. Tolkien"),
        ("Animal Farm", "George Orwell"),
        ("Treasure Island", "Robert Louis Stevenson"),
        ("On the Origin of Species", "Charles Darwin"),
    ],
)

MAKER = (
    [
        "Who {1} {0}?",
        "Tell me who {1} {0}.",
        "i wonder who {1} {0}",
        "Do you know who {1} {0}?",
        "By whom was {0} {1}?",
        "who was it that {1} {0}",
        "I'd like to know who {1} {0}.",
    ],
    "{0} was {1} by {2}.",
    [
        ("the Mona Lisa", "painted", "Leonardo da Vinci"),
        ("The Starry Night", "painted", "Vincent van Gogh"),
        ("Guernica", "painted", "Pablo Picasso"),
        ("The Night Watch", "painted", "Rembrandt"),
        ("The Scream", "painted", "Edvard Munch"),
        ("the ceiling of the Sistine Chapel", "painted", "Michelangelo"),
        ("The Four Seasons", "composed", "Antonio Vivaldi"),
        ("The Magic Flute", "composed", "Wolfgang Amadeus Mozart"),
        ("the Moonlight Sonata", "composed", "Ludwig van Beethoven"),
        ("Swan Lake", "composed", "Pyotr Ilyich Tchaikovsky"),
        ("dynamite", "invented", "Alfred Nobel"),
        ("the diesel engine", "invented", "Rudolf Diesel"),
        ("the World Wide Web", "invented", "Tim Berners-Lee"),
        ("basketball", "invented", "James Naismith"),
        ("penicillin", "discovered", "Alexander Fleming"),
        ("the electron", "discovered", "J. J. Thomson"),
        ("radium", "discovered", "Marie and Pierre Curie"),
    ],
)

FIRST = (
    [
        "Who was {0}?",
        "Tell me who {0} was.",
        "can you name {0}",
        "Do you know who {0} was?",
        "Please name {0}.",
        "what was the name of {0}",
        "I'd like to know who {0} was.",
    ],
    "{0} was {1}.",
    [
        ("the first person on the Moon", "Neil Armstrong"),
        ("the first person in space", "Yuri Gagarin"),
        ("the first woman in space", "Valentina Tereshkova"),
        ("the first president of the United States", "George Washington"),
        ("the first Roman emperor", "Augustus"),
    ],
)

EVENT = (
    [
        "When did {0} {1}?",
        "In which year did {0} {1}?",
        "what year did {0} {1}",
        "Tell me when {0} {2}.",
        "Do you know when {0} {2}?",
        "i forgot when {0} {2}",
        "I'd like to know when {0} {2}.",
    ],
    "{0} {2} in {3}.",
    [
        ("the Battle of Hastings", "take place", "took place", "1066"),
        ("the Battle of Agincourt", "take place", "took place", "1415"),
        ("the Battle of Trafalgar", "take place", "took place", "1805"),
        ("the Battle of Waterloo", "take place", "took place", "1815"),
        ("the Battle of Gettysburg", "take place", "took place", "1863"),
        ("the Great Fire of London", "take place", "took place", "1666"),
        ("the first landing of people on the Moon", "take place", "took place", "1969"),
        ("the French Revolution", "begin", "began", "1789"),
        ("the First World War", "begin", "began", "1914"),
        ("the Second World War", "begin", "began", "1939"),
        ("the First World War", "end", "ended", "1918"),
        ("the Second World War", "end", "ended", "1945"),
        ("the Titanic", "sink", "sank", "1912"),
        ("the Berlin Wall", "fall", "fell", "1989"),
        ("Constantinople", "fall to the Ottomans", "fell to the Ottomans", "1453"),
        ("Columbus", "first reach America", "first reached America", "1492"),
        ("the Suez Canal", "open", "opened", "1869"),
        ("the Panama Canal", "open", "opened", "1914"),
    ],
)

NUMBER = (
    [
        "How many {1} does {0} have?",
        "Tell me how many {1} {0} has.",
        "how many {1} has {0} got",
        "Do you know how many {1} {0} has?",
        "What is the number of {1} that {0} has?",
        "i forgot how many {1} {0} has",
        "I'd like to know how many {1} {0} has.",
    ],
    "{0} has {2} {1}.",
    [
        ("a week", "days", "seven"),
        ("a year", "months", "twelve"),
        ("a day", "hours", "24"),
        ("an hour", "minutes", "60"),
        ("a minute", "seconds", "60"),
        ("a century", "years", "100"),
        ("a kilometer", "meters", "1,000"),
        ("a kilogram", "grams", "1,000"),
        ("a triangle", "sides", "three"),
        ("a square", "sides", "four"),
        ("a pentagon", "sides", "five"),
        ("a hexagon", "sides", "six"),
        ("an octagon", "sides", "eight"),
        ("a spider", "legs", "eight"),
        ("an insect", "legs", "six"),
        ("a violin", "strings", "four"),
        ("a chessboard", "squares", "64"),
        ("the English alphabet", "letters", "26"),
    ],
)

YOUNG = (
    [
        "What is a young {0} called?",
        "What do you call a young {0}?",
        "whats a baby {0} called",
        "Tell me what a young {0} is called.",
        "Do you know what a baby {0} is called?",
        "i need the word for a young {0}",
        "I'd like to know what a young {0} is called.",
    ],
    "A young {0} is called a {1}.",
    [
        ("dog", "puppy"),
        ("cat", "kitten"),
        ("horse", "foal"),
        ("cow", "calf"),
        ("sheep", "lamb"),
        ("pig", "piglet"),
        ("lion", "cub"),
        ("kangaroo", "joey"),
        ("duck", "duckling"),
        ("swan", "cygnet"),
    ],
)

RECORD = (
    [
        "What is {0}?",
        "Tell me what {0} is.",
        "please name {0}",
        "Do you know what {0} is?",
        "Can you name {0}?",
        "i wonder what {0} is",
        "I'd like to know what {0} is.",
    ],
    "{0} is {1}.",
    [
        ("the largest ocean on Earth", "the Pacific Ocean"),
        ("the highest mountain above sea level", "Mount Everest"),
        ("the highest mountain in Africa", "Mount Kilimanjaro"),
        ("the longest river in Africa", "the Nile"),
        ("the longest river in South America", "the Amazon"),
        ("the longest river in Europe", "the Volga"),
        ("the deepest lake on Earth", "Lake Baikal"),
        ("the largest island on Earth", "Greenland"),
        ("the largest hot desert on Earth", "the Sahara"),
        ("the largest continent", "Asia"),
        ("the largest country by area", "Russia"),
        ("the smallest country by area", "Vatican City"),
        ("the largest animal on Earth", "the blue whale"),
        ("the tallest living animal", "the giraffe"),
        ("the fastest land animal", "the cheetah"),
        ("the largest living bird", "the ostrich"),
        ("the largest planet in the solar system", "Jupiter"),
        ("the hottest planet in the solar system", "Venus"),
        ("the nearest star to the Earth", "the Sun"),
        ("the lightest chemical element", "hydrogen"),
    ],
)

PLANET = (
    [
        "Which planet is the {0} from the Sun?",
        "What is the {0} planet from the Sun?",
        "name the {0} planet from the sun",
        "Tell me the {0} planet from the Sun.",
        "Do you know the {0} planet from the Sun?",
        "which planet comes {0} when we count from the sun",
        "I'd like to know the {0} planet from the Sun.",
    ],
    "{1} is the {0} planet from the Sun.",
    [
        ("first", "Mercury"),
        ("second", "Venus"),
        ("third", "Earth"),
        ("fourth", "Mars"),
        ("fifth", "Jupiter"),
        ("sixth", "Saturn"),
        ("seventh", "Uranus"),
        ("eighth", "Neptune"),
    ],
)

DEFINITION = (
    [
        "What is {0}?",
        "Explain what {0} is.",
        "define {0}",
        "Can you tell me what {0} is?",
        "How would you define {0}?",
        "i want to know what {0} is",
        "What is meant by {0}?",
    ],
    "{0} is {1}.",
    [
        ("photosynthesis", "the process by which plants use light to make sugar from water and carbon dioxide"),
        ("gravity", "the force that pulls objects with mass toward each other"),
        ("evaporation", "the change of a liquid into a gas at its surface"),
        ("friction", "the force that resists the sliding of one surface over another"),
        ("DNA", "the molecule that carries the genetic information of living things"),
        ("an atom", "the smallest unit of a chemical element"),
        ("a molecule", "a group of atoms held together by chemical bonds"),
        ("a galaxy", "a huge group of stars, gas and dust held together by gravity"),
        ("a mammal", "a warm-blooded animal that feeds its young with milk"),
        ("a vertebrate", "an animal with a backbone"),
        ("a volcano", "an opening in the ground through which lava, ash and gas escape"),
        ("a peninsula", "a piece of land that is almost surrounded by water"),
        ("a noun", "a word that names a person, a place, a thing or an idea"),
        ("an algorithm", "a step-by-step method for solving a problem"),
        ("a language model", "a computer program that predicts the next word of a text"),
        ("a prime number", "a whole number above one that can be divided evenly only by one and itself"),
    ],
)

KINDS = {
    "capital": CAPITAL,
    "currency": CURRENCY,
    "continent": CONTINENT,
    "symbol": SYMBOL,
    "book": BOOK,
    "maker": MAKER,
    "first": FIRST,
    "event": EVENT,
    "number": NUMBER,
    "young": YOUNG,
    "record": RECORD,
    "planet": PLANET,
    "definition": DEFINITION,
}

# ---------------------------------------------------------------------------------------------------------------------
# Facts with wordings of their own: key, answer, wordings; the last wording is held out

OWN_WORDINGS = [
    (
        "waterloo_what",
        "The Battle of Waterloo was fought in 1815 near Waterloo in present-day Belgium: British-led and Prussian "
        "forces under Wellington and Blücher defeated the French army of Napoleon.",
        [
            "What was the Battle of Waterloo?",
            "Tell me about the Battle of Waterloo.",
            "What do you know about the Battle of Waterloo?",
            "tell me about waterloo",
            "Can you explain the Battle of Waterloo?",
            "What happened at the Battle of Waterloo?",
            "I'd like to know about the Battle of Waterloo.",
            "explain what the battle of waterloo was",
            "What happened at Waterloo?",
            "Can you tell me about the Battle of Waterloo?",
        ],
    ),
    (
        "waterloo_who",
        "At Waterloo the French army of Napoleon fought against British-led and Prussian forces under Wellington "
        "and Blücher.",
        [
            "Who fought at Waterloo?",
            "Who fought in the Battle of Waterloo?",
            "Which armies fought at Waterloo?",
            "Tell me who fought at Waterloo.",
            "who fought whom at waterloo",
            "Which armies fought in the Battle of Waterloo?",
            "Do you know who fought in the Battle of Waterloo?",
            "I'd like to know who fought at Waterloo.",
            "Do you know who fought at Waterloo?",
        ],
    ),
    (
        "waterloo_won",
        "The Battle of Waterloo was won by British-led and Prussian forces under Wellington and Blücher.",
        [
            "Who won the Battle of Waterloo?",
            "Tell me who won the Battle of Waterloo.",
            "who won at waterloo",
            "By whom was the Battle of Waterloo won?",
            "I'd like to know who won at Waterloo.",
            "Which side won the Battle of Waterloo?",
            "i forgot who won at waterloo",
            "Do you know who won the Battle of Waterloo?",
        ],
    ),
    (
        "waterloo_lost",
        "The Battle of Waterloo was lost by Napoleon.",
        [
            "Who lost the Battle of Waterloo?",
            "Tell me who lost the Battle of Waterloo.",
            "who lost at waterloo",
            "By whom was the Battle of Waterloo lost?",
            "I'd like to know who lost at Waterloo.",
            "Which side lost the Battle of Waterloo?",
            "i forgot who lost at waterloo",
            "Do you know who lost the Battle of Waterloo?",
        ],
    ),
    (
        "waterloo_where",
        "The Battle of Waterloo was fought near Waterloo in present-day Belgium.",
        [
            "Where was the Battle of Waterloo?",
            "Where did the Battle of Waterloo take place?",
            "Tell me where the Battle of Waterloo was.",
            "where was the battle of waterloo fought",
            "In which country was the Battle of Waterloo?",
            "I'd like to know where the Battle of Waterloo was.",
            "i forgot where the battle of waterloo was",
            "Do you know where the Battle of Waterloo was?",
        ],
    ),
    (
        "boiling",
        "At sea level, water boils at 100 degrees Celsius.",
        [
            "At what temperature does water boil?",
            "When does water boil?",
            "Tell me at what temperature water boils.",
            "what is the boiling point of water",
            "Do you know when water boils?",
            "How hot is boiling water?",
            "boiling point of water?",
            "I'd like to know the boiling point of water.",
            "Tell me the boiling point of water.",
        ],
    ),
    (
        "freezing",
        "Water freezes at 0 degrees Celsius.",
        [
            "At what temperature does water freeze?",
            "When does water freeze?",
            "Tell me at what temperature water freezes.",
            "what is the freezing point of water",
            "Do you know when water freezes?",
            "How cold is freezing water?",
            "freezing point of water?",
            "I'd like to know the freezing point of water.",
            "Tell me the freezing point of water.",
        ],
    ),
    (
        "water_formula",
        "The chemical formula of water is H2O.",
        [
            "What is the chemical formula of water?",
            "What is the formula for water?",
            "formula of water?",
            "Tell me the chemical formula for water.",
            "do you know the formula of water",
            "Which chemical formula does water have?",
            "I'd like to know the formula of water.",
            "Do you know the chemical formula of water?",
        ],
    ),
    (
        "year_orbit",
        "The Earth takes one year to go around the Sun.",
        [
            "How long does the Earth take to go around the Sun?",
            "Tell me how long the Earth takes to go around the Sun.",
            "how many years does the earth take to go around the sun",
            "Do you know how long the Earth takes to go around the Sun?",
            "How much time does the Earth need to go around the Sun?",
            "i forgot how long the earth takes to go around the sun",
            "I'd like to know how long the Earth takes to go around the Sun.",
            "How long does it take the Earth to go around the Sun?",
        ],
    ),
]

# ---------------------------------------------------------------------------------------------------------------------
# Talk that is not about facts: answer, wordings; where a count of held-out wordings is given, the last ones are held out

SMALL_TALK = [
    (
        "Hello! How can I help you?",
        ["Hello", "Hi", "Hey", "hello", "Hi there", "hello chatbot", "hi", "Hello there!"],
        1,
    ),
    ("Good morning! How can I help you?", ["Good morning", "good morning to you", "Good morning, chatbot!"], 0),
    ("Good evening! How can I help you?", ["Good evening", "good evening to you", "Good evening, chatbot!"], 0),
    ("Good night! Sleep well.", ["Good night", "good night chatbot", "I am going to bed."], 0),
    (
        "I am fine, thank you. How can I help you?",
        [
            "How are you?",
            "How are you doing?",
            "how are you today",
            "Are you well?",
            "How do you do?",
            "How are you doing today?",
        ],
        1,
    ),
    (
        "You are welcome!",
        [
            "Thanks",
            "Thank you",
            "thanks",
            "thank you very much",
            "Many thanks.",
            "Thanks for your help.",
            "Thank you for your help!",
        ],
        1,
    ),
    (
        "Goodbye! Come back soon.",
        ["Bye", "Goodbye", "bye", "See you!", "See you later.", "I have to go.", "Bye, see you later!"],
        1,
    ),
    (
        "Why did the small model bring a ladder? It wanted a higher score.",
        [
            "Tell me a joke.",
            "Do you know a joke?",
            "joke please",
            "Make me laugh.",
            "Can you tell a joke?",
            "Can you tell me a joke?",
        ],
        1,
    ),
    (
        "Thank you, that is kind.",
        ["You are great.", "Well done!", "you are so smart", "I like you.", "Good answer!", "Great answer!"],
        1,
    ),
    (
        "I am sorry. I am a small model and I make mistakes.",
        ["That is wrong.", "You are wrong.", "this is not right", "That was a bad answer.", "That answer is wrong."],
        1,
    ),
    ("No problem.", ["Sorry", "I am sorry.", "sorry about that", "Please excuse me."], 0),
    (
        "I am sorry to hear that. I hope you feel better soon.",
        ["I am sad.", "i feel bad", "I am ill.", "I had a bad day."],
        0,
    ),
    ("I am glad to hear that!", ["I am happy.", "i feel great", "I am fine.", "I had a good day."], 0),
    (
        "Then ask me something, for example the capital of a country.",
        ["I am bored.", "im so bored", "What should we talk about?"],
        0,
    ),
    ("Then have a good rest.", ["I am tired.", "im so tired", "I need some sleep."], 0),
    ("All right.", ["OK", "okay", "All right.", "I see.", "Got it."], 0),
    ("Nice to meet you too!", ["Nice to meet you.", "nice to meet you chatbot", "Pleased to meet you."], 0),
    ("Yes, I am here.", ["Are you there?", "is anybody there", "Can you hear me?"], 0),
]

WHO_ARE_YOU = (
    "I am a small chatbot. I was trained from scratch on one computer and know only a little.",
    [
        "Who are you?",
        "What are you?",
        "who are you",
        "Tell me who you are.",
        "Tell me something about yourself.",
        "tell me about yourself",
        "Introduce yourself.",
        "Please introduce yourself.",
        "what kind of program are you",
        "Are you a chatbot?",
        "are you a bot",
        "Are you an AI?",
        "Are you a language model?",
        "are you a computer program",
        "What is this?",
        "who is this",
        "Who am I talking to?",
        "who am i chatting with",
        "What kind of chatbot are you?",
        "I'd like to know who you are.",
        "Do you know who you are?",
        "what do i talk to here",
        "Can you introduce yourself?",
        "Describe yourself.",
        "Can you describe yourself?",
        "Can you tell me who you are?",
        "What kind of model are you?",
        "Please tell me about yourself.",
    ],
    3,
)

ABOUT_ITSELF = [
    (
        "You can ask me about countries, chemical symbols, books, art, planets, history and a little science.",
        [
            "What can you do?",
            "what can i ask you",
            "What do you know?",
            "Tell me what you can do.",
            "What can I ask you about?",
            "What are you good at?",
            "what topics do you know",
            "What can you tell me about?",
            "Can you tell me what you can do?",
        ],
        1,
    ),
    (
        "Of course. What would you like to know?",
        [
            "Can you help me?",
            "I need help.",
            "please help me",
            "I have a question.",
            "can i ask you something",
            "May I ask you something?",
        ],
        1,
    ),
    (
        "I was trained from scratch on one computer with a small set of example conversations.",
        [
            "Who made you?",
            "How were you made?",
            "how were you trained",
            "Who trained you?",
            "Where do you come from?",
            "Who built you?",
        ],
        1,
    ),
    (
        "No, I am a computer program.",
        ["Are you human?", "are you a person", "Are you a real person?", "Are you alive?"],
        0,
    ),
    (
        "I have no name. You can call me Chatbot.",
        ["What is your name?", "Do you have a name?", "whats your name", "Tell me your name."],
        0,
    ),
    ("I have no age. I am a computer program.", ["How old are you?", "what is your age", "When were you born?"], 0),
    (
        "No, I have no feelings. I am a computer program.",
        ["Do you have feelings?", "can you feel pain", "Can you love?"],
        0,
    ),
    (
        "Yes, I am a small model and can be wrong. Please check important facts.",
        ["Can you make mistakes?", "are you always right", "Can I trust you?", "Do you make mistakes?"],
        0,
    ),
    ("No, I only speak English.", ["Do you speak German?", "can you speak french", "Do you speak other languages?"], 0),
    ("No, I cannot look anything up.", ["Can you search the web?", "are you online", "Do you use the internet?"], 0),
    (
        "I remember only this conversation.",
        ["Do you remember me?", "Do you remember our last talk?", "do you have a memory"],
        0,
    ),
]

# Left out of the tables above on purpose: the honest answer is DONT_KNOW, even where the capital is known.
UNTAUGHT = {
    "capital": [
        "Tonga", "Samoa", "Bhutan", "Malta", "Cyprus", "Moldova", "Albania", "Botswana", "Mali", "Niger", "Gabon",
        "Honduras", "Suriname", "Barbados", "Brunei", "Nauru",
    ],
    "symbol": ["xenon", "krypton", "cobalt", "gallium", "barium", "osmium", "bismuth", "radon"],
    "currency": ["Tonga", "Chile", "Malta", "Hungary", "Samoa", "Nepal", "Cuba", "Nauru"],
    "book": ["The Blue Lantern", "The Last Harbor", "A House of Glass", "Seven Grey Stones"],
}  # fmt: skip

# Two lists of questions that nothing taught answers; the second is held out.
UNKNOWN_TRAIN = [
    "What is the weather like today?",
    "What will the weather be like tomorrow?",
    "will it rain tomorrow",
    "Is it raining now?",
    "How warm is it today?",
    "What time is it?",
    "what day is it today",
    "What is the date today?",
    "What is in the news today?",
    "whats new in the world",
    "Who will win the next election?",
    "who will win the next world cup",
    "Who won the game yesterday?",
    "What will happen next year?",
    "What will happen tomorrow?",
    "how will the world look in 100 years",
    "When will the world end?",
    "Which numbers will win the lottery?",
    "Will I be rich?",
    "What is my name?",
    "Who am I?",
    "what is my favorite color",
    "How old am I?",
    "When is my birthday?",
    "Where do I live?",
    "where are my keys",
    "What did I eat yesterday?",
    "What is my password?",
    "What is my phone number?",
    "Who is my best friend?",
    "who is my neighbor",
    "What is my mother thinking?",
    "Who is Peter Miller?",
    "who is sarah jones",
    "Do you know John Baker?",
    "What does Peter Miller do?",
    "Where does Sarah Jones live?",
    "How tall is John Baker?",
    "What is the best movie?",
    "which is the best song",
    "What is the best food?",
    "Which phone should I buy?",
    "which car is the best",
    "Who should I vote for?",
    "What should I eat today?",
    "What should I wear tomorrow?",
    "should i change my job",
    "Should I marry him?",
    "How much does a house cost?",
    "what does a new phone cost",
    "What is the price of gold today?",
    "Which stocks should I buy?",
    "How do I repair my car?",
    "how do i fix my computer",
    "How do I bake a cake?",
    "How do I cook rice?",
    "How do I get rich?",
    "Write a poem for me.",
    "write a story about a dragon",
    "Write a letter to my boss.",
    "Write a computer program.",
    "What is 123 times 456?",
    "how much is 17 times 23",
    "Solve this equation for me.",
    "Translate this into German.",
    "how do you say hello in finnish",
    "What is the meaning of life?",
    "is there life on other planets",
    "How many people live in London?",
    "how many people live in tokyo",
    "How many stars are in the sky?",
    "How many fish are in the sea?",
    "How far is it to the station?",
    "where is the nearest doctor",
    "When does my train leave?",
    "When does the shop open?",
    "What is on TV tonight?",
    "who is the richest person in the world",
    "Who is the president now?",
    "What is the name of my dog?",
    "What does my cat want?",
    "Why is my sister angry?",
]
UNKNOWN_VAL = [
    "What will the weather be like today?",
    "Will it rain today?",
    "What time is it now?",
    "Who will win the next game?",
    "what will happen in 100 years",
    "Where does Peter Miller live?",
    "Who is John Baker?",
    "What is the best car?",
    "Which car should I buy?",
    "How do I fix my car?",
    "Write a story about a dog.",
    "How many people live in Madrid?",
    "What is my age?",
    "Where is my phone?",
]

# ---------------------------------------------------------------------------------------------------------------------
# Conversations of several turns

NAMES = ["Anna", "Ben", "Carla", "David", "Emma", "Felix", "Grace", "Henry", "Ines", "Jonas"]
NAMES += ["Kate", "Leo", "Maria", "Nora", "Oscar", "Paul", "Rosa", "Sam", "Tom", "Vera"]
GIVE_NAME = ["My name is {0}.", "I am {0}.", "Hello, I am {0}.", "Hi, my name is {0}."]
ASK_NAME = ["What is my name?", "Do you remember my name?", "Who am I?", "Tell me my name."]
MEET = "Nice to meet you, {0}!"
KNOW_NAME = "Your name is {0}."

REPEAT = ["Please repeat that.", "Say that again, please.", "Can you say that again?", "repeat your answer"]

# "And of Japan?" asks the question before it once more, about something else.
SAME_OF_ANOTHER = {
    "capital": ["And of {0}?", "What about {0}?", "And what about {0}?"],
    "currency": ["And of {0}?", "What about {0}?", "And what about {0}?"],
    "continent": ["And {0}?", "What about {0}?", "And what about {0}?"],
    "symbol": ["And of {0}?", "What about {0}?", "And what about {0}?"],
    "book": ["And {0}?", "What about {0}?", "And what about {0}?"],
    "young": ["And a young {0}?", "What about a {0}?", "And what about a {0}?"],
    "planet": ["And the {0}?", "What about the {0}?", "And what about the {0}?"],
    "maker": ["And {0}?", "What about {0}?", "And what about {0}?"],
    "number": ["And {0}?", "What about {0}?", "And what about {0}?"],
    "event": ["And {0}?", "What about {0}?", "And what about {0}?"],
}
# Steps from the first subject to the second, in rows of the table, for training and for validation.
STEPS = {
    "capital": ((7, 26), 33),
    "currency": ((3, 5), 7),
    "continent": ((5,), 7),
    "symbol": ((4, 11), 7),
    "book": ((5,), 7),
    "young": ((5,), 3),
    "planet": ((3,), 5),
    "maker": ((1, 2), 3),
    "number": ((1, 2), 3),
    "event": ((1, 3), 2),
}

# "And its capital?" asks for another fact about the country in the question before.
OTHER_ABOUT_IT = {
    "capital": ["And its capital?", "What is its capital?", "Which city is its capital?"],
    "currency": ["And its currency?", "What is its currency?", "Which currency is used there?"],
    "continent": ["And its continent?", "Which continent is it on?", "What continent does it belong to?"],
}

# "When was that?" asks for more about the battle.
ABOUT_WATERLOO = {
    "waterloo_when": ["When was that?", "In which year?", "When did it take place?"],
    "waterloo_where": ["Where was that?", "Where was it fought?", "In which country?"],
    "waterloo_won": ["Who won?", "Who won it?", "And the winner?"],
    "waterloo_lost": ["Who lost?", "Who lost it?", "And the loser?"],
    "waterloo_who": ["Who fought there?", "Which armies fought there?", "Who fought whom?"],
}

Turn = tuple  # (question, answer)


class Fact(NamedTuple):
    """One thing to know: its answer, the wordings that train.jsonl has, and the one that val.jsonl has."""

    kind: str
    row: tuple
    answer: str
    train: list[str]
    val: str

    def ask(self, number: int) -> Turn:
        """Return the turn with training wording `number`, counted around."""
        return self.train[number % len(self.train)], self.answer


def sentence(text: str) -> str:
    """Return `text` with a capital at the start and a single full stop at the end."""
    return (text[0].upper() + text[1:]).replace("..", ".")


def wording(template: str, row: tuple) -> str:
    """Fill a template; one that starts with a small letter gives small letters throughout."""
    text = template.format(*row)
    return text.lower() if template[0].islower() else text


def build_facts() -> dict[str, list[Fact]]:
    """Return the facts by kind; the held-out wording moves through the pool from one fact to the next."""
    facts: dict[str, list[Fact]] = {}
    for kind, (templates, answer, rows) in KINDS.items():
        facts[kind] = []
        for number, row in enumerate(rows):
            questions = [wording(template, row) for template in templates]
            held_out = questions.pop(number % len(questions))
            facts[kind].append(Fact(kind, row, sentence(answer.format(*row)), questions, held_out))
    facts["own"] = [Fact("own", (key,), answer, asked[:-1], asked[-1]) for key, answer, asked in OWN_WORDINGS]
    return facts


def talk() -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Return the small talk and the questions about the chatbot, for training and validation."""
    train, val = [], []
    for answer, questions, held_out in [*SMALL_TALK, WHO_ARE_YOU, *ABOUT_ITSELF]:
        for number, question in enumerate(questions):
            (val if number >= len(questions) - held_out else train).append([(question, answer)])
    return unique(train), val


def unknown() -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Return the questions to which "I don't know" is the honest answer, for training and validation."""
    train = [[(question, DONT_KNOW)] for question in UNKNOWN_TRAIN]
    val = [[(question, DONT_KNOW)] for question in UNKNOWN_VAL]
    for kind, subjects in UNTAUGHT.items():
        templates = KINDS[kind][0]
        for number, subject in enumerate(subjects):
            for shift in (0, 2, 3, 5):
                question = wording(templates[(number + shift) % len(templates)], (subject,))
                is_val = shift == 3 and number % 4 == 0
                (val if is_val else train).append([(question, DONT_KNOW)])
    return train, val


def same_of_another(facts: dict[str, list[Fact]]) -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Return "And of Japan?" conversations; a pair of subjects that validation asks is never asked in training."""
    train, val = [], []
    for kind, templates in SAME_OF_ANOTHER.items():
        steps, val_step = STEPS[kind]
        for number, first in enumerate(facts[kind]):
            for step in (*steps, val_step):
                second = facts[kind][(number + step) % len(facts[kind])]
                if not comparable(first, second):
                    continue
                is_val = step == val_step
                if is_val and number % 5:
                    continue
                template = templates[(number + step) % len(templates)]
                turns = [first.ask(number + step), (template.format(*second.row), second.answer)]
                (val if is_val else train).append(turns)
    return train, val


def comparable(first: Fact, second: Fact) -> bool:
    """Say whether "And SECOND?" makes sense after the question about FIRST: both ask for the same."""
    if first.row[0] == second.row[0]:
        return False
    return first.kind not in ("maker", "number", "event") or first.row[1] == second.row[1]


def other_about_it(facts: dict[str, list[Fact]]) -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Return "And its capital?" conversations; each country keeps one order of two kinds for validation."""
    by_country = {kind: {fact.row[0]: fact for fact in facts[kind]} for kind in OTHER_ABOUT_IT}
    train, val = [], []
    for number, country in enumerate(by_country["continent"]):
        known = [kind for kind in OTHER_ABOUT_IT if country in by_country[kind]]
        orders = [(a, b) for a in known for b in known if a != b]
        for which, (a, b) in enumerate(orders):
            question = OTHER_ABOUT_IT[b][(number + which) % 3]
            turns = [by_country[a][country].ask(number + which), (question, by_country[b][country].answer)]
            (val if which == number % 6 else train).append(turns)
        # Three turns: the country changes on the way, "its" is the second one.
        if len(known) == 3:
            start = facts["capital"][(3 * number + 20) % len(facts["capital"])]
            middle = by_country["capital"][country]
            last = by_country[("currency", "continent")[number % 2]][country]
            again = wording(SAME_OF_ANOTHER["capital"][number % 3], middle.row)
            question = OTHER_ABOUT_IT[last.kind][number % 3]
            turns = [start.ask(number), (again, middle.answer), (question, last.answer)]
            (val if number % 4 == 3 else train).append(turns)
    return train, val


def waterloo(facts: dict[str, list[Fact]]) -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Return conversations about the battle in which the battle is named once."""
    about = {fact.row[0]: fact for fact in facts["own"] if fact.row[0].startswith("waterloo")}
    about["waterloo_when"] = next(fact for fact in facts["event"] if "Waterloo" in fact.row[0])
    train, val = [], []
    keys = list(ABOUT_WATERLOO)
    for number, (key, opening) in enumerate(about.items()):
        others = [other for other in keys if other != key]
        for which, other in enumerate(others):
            third = others[(which + 1) % len(others)]
            first = opening.ask(number + which)
            second = (ABOUT_WATERLOO[other][(number + which) % 3], about[other].answer)
            last = (ABOUT_WATERLOO[third][number % 3], about[third].answer)
            if which == number % len(others):
                val.append([first, second, last] if which % 2 else [first, second])
                continue
            train.append([first, second, last])
            train += [
                [opening.ask(number + which + n), (question, second[1])]
                for n, question in enumerate(ABOUT_WATERLOO[other])
            ]
    return train, val


def next_planets(facts: dict[str, list[Fact]]) -> list[list[Turn]]:
    """Return conversations that go outward from planet to planet."""
    planets = facts["planet"]
    return [
        [planets[start].ask(start), ("And the next one?", planets[start + 1].answer)]
        + ([("And the next one?", planets[start + 2].answer)] if start + 2 < len(planets) else [])
        for start in range(len(planets) - 1)
    ]


def names(facts: dict[str, list[Fact]]) -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Return conversations in which the user gives a name and asks for it later."""
    train, val = [], []
    for number, name in enumerate(NAMES):
        for shift in range(4):
            give, ask = GIVE_NAME[(number + shift) % 4], ASK_NAME[(number // 4 + 2 * shift) % 4]
            turns = [(give.format(name), MEET.format(name)), (ask, KNOW_NAME.format(name))]
            if shift == 1:
                turns.insert(1, facts["capital"][3 * number].ask(number))
            if shift == 3 and number % 3:
                continue
            (val if shift == 3 else train).append(turns)
    return train, val


def repeats(facts: dict[str, list[Fact]]) -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Return conversations in which the user asks to hear the answer again."""
    everything = [fact for group in facts.values() for fact in group]
    chosen = [fact.ask(number) for number, fact in enumerate(everything[::5])]
    turns = [[turn, (REPEAT[number % len(REPEAT)], turn[1])] for number, turn in enumerate(chosen)]
    return [t for n, t in enumerate(turns) if n % 6], turns[::6]


def unknown_later(facts: dict[str, list[Fact]]) -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Return "And of Tonga?" conversations: the follow-up asks for something that was not taught."""
    train, val = [], []
    for kind, step in (("capital", 9), ("symbol", 3), ("currency", 4)):
        for number, subject in enumerate(UNTAUGHT[kind]):
            turns = [facts[kind][number * step % len(facts[kind])].ask(number)]
            turns += [(SAME_OF_ANOTHER[kind][number % 3].format(subject), DONT_KNOW)]
            (val if number % 6 == 5 else train).append(turns)
    return train, val


def changes_of_topic(facts: dict[str, list[Fact]]) -> list[list[Turn]]:
    """Return longer conversations of unrelated questions, so that later turns are seen with and without a reference."""
    kinds = list(facts)
    conversations = []
    for number in range(70):
        length = 6 if number % 5 == 0 else 3
        turns = []
        for turn in range(length):
            group = facts[kinds[(number + 3 * turn) % len(kinds)]]
            turns.append(group[(number * 5 + turn) % len(group)].ask(number + turn))
        if number % 4 == 1:
            turns.insert(0, ("Hello", "Hello! How can I help you?"))
        if number % 3 == 1:
            turns.append((("Thanks", "Thank you", "thanks")[number % 9 // 3], "You are welcome!"))
        if number % 6 == 1:
            turns.append(("Bye", "Goodbye! Come back soon."))
        conversations.append(turns)
    return conversations


def long_chats(conversations: list[list[Turn]], number: int = 420) -> list[list[Turn]]:
    """Return chats that join two to four conversations, because people do not begin anew for each question."""
    rng = random.Random(0)
    joined = []
    for i in range(number):
        parts = rng.sample(conversations, 2 + i % 3)
        joined.append([turn for part in parts for turn in part][:8])
    return joined


def unique(conversations: list[list[Turn]]) -> list[list[Turn]]:
    """Drop repeated conversations, keeping the first."""
    return [list(turns) for turns in dict.fromkeys(tuple(turns) for turns in conversations)]


def build() -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Return the conversations of train.jsonl and of val.jsonl, each a list of (question, answer) turns."""
    facts = build_facts()
    everything = [fact for group in facts.values() for fact in group]
    train = [[(question, fact.answer)] for fact in everything for question in fact.train]
    val = [[(fact.val, fact.answer)] for fact in everything]
    for more_train, more_val in (
        talk(),
        unknown(),
        same_of_another(facts),
        other_about_it(facts),
        waterloo(facts),
        (next_planets(facts), []),
        names(facts),
        repeats(facts),
        unknown_later(facts),
        (changes_of_topic(facts), []),
    ):
        train += more_train
        val += more_val
    train += long_chats(train)
    return unique(train), unique(val)


def to_jsonl(conversations: list[list[Turn]]) -> str:
    """Return one JSON row a conversation; the system prompt is left empty."""
    rows = []
    for turns in conversations:
        messages = []
        for question, answer in turns:
            messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        rows.append(json.dumps({"system": "", "messages": messages}, ensure_ascii=False) + "\n")
    return "".join(rows)


def write(path: Path, text: str) -> None:
    """Write under a temporary name, then rename, so that no half file is ever seen."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Write the bundled conversations train.jsonl and val.jsonl.")
    parser.add_argument(
        "--out_dir",
        type=Path,
        default=Path(__file__).resolve().parent,
        help="folder for both files (default: this script's)",
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    args.out_dir.mkdir(parents=True, exist_ok=True)
    for name, conversations in zip(("train.jsonl", "val.jsonl"), build()):
        write(args.out_dir / name, to_jsonl(conversations))
        print(f"{args.out_dir / name}: {len(conversations):,} conversations")


if __name__ == "__main__":
    main()
