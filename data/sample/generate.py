"""Write the bundled conversations: data/sample/train.jsonl and data/sample/val.jsonl.

Reads nothing; everything the small chatbot is taught stands in the tables below. Each fact has one answer and a pool of
wordings of its question. One wording of every fact is held out for val.jsonl; another fact of the same kind shows
that wording in train.jsonl, so a model that has understood the kind can answer it. A wording that starts with a
small letter gives a question wholly in small letters, as people type. Strangers ask in other ways: further questions
are composed of cores, lead-ins, tails and noise (WAYS and what follows it), for the facts and, in the same ways, for
what nothing taught answers (OTHER_..., MORE_ABOUT, FREE). TIMES and TIMES_UNTAUGHT say how many.

    python data/sample/generate.py                     # rewrite both files beside this script
    python data/sample/generate.py --out_dir /tmp/x    # write them somewhere else

Takes a few seconds. The output depends on this file, and on strangers.jsonl beside it by what it leaves out: no question
that is asked there, or near one, is in train.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
from pathlib import Path
from typing import Callable, NamedTuple

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
# Many more ways to ask. People do not ask in whole sentences, so wordings are composed of parts: a core from WAYS, a
# lead-in and a tail from the lists below, and noise. A core is one of
#   noun    "the capital of {0}": after "what is", "tell me", "i forgot", or alone
#   clause  "which city is the capital of {0}": a question as it stands, and after "tell me", "do you know"
#   ask     a question that cannot follow "tell me"
#   short   keywords; {bare} is the subject without its article
#   turned  the question from the other end, or a sentence to complete: the taught sentence answers it as well


def listed(text: str) -> list[str]:
    """Return the entries of a list that is written with | between them."""
    return [entry.strip() for entry in text.replace("\n", " ").split("|") if entry.strip()]


LEAD_NOUN = listed("""
    what is | what is | what's | whats | what is | what was that again, | tell me | please tell me | can you tell me |
    could you tell me | name | please name | can you name | give me | can you give me | do you know | i need |
    i need to know | i'd like to know | i want to know | i would like to know | i always forget | i forgot |
    i can't remember | i don't remember | remind me of | do you happen to know | do you remember | i'm looking for |
    would you tell me | say | what would be | what exactly is | what might be | help me with | find | state |
    my teacher asked for | the quiz asks for | i wonder about | let me know | any idea about | looking for | and what is |
    so what is | you surely know | question about | i have a test tomorrow and forgot | i've forgotten | would you mind telling me | would you be so kind as to tell me | what was | what is | my kid wants to know |
    a friend asked me for | i am curious about | they want to know | you know | got | tell us
""")
LEAD_CLAUSE = listed("""
    tell me | please tell me | can you tell me | could you tell me | do you know | do you know | i'd like to know |
    i want to know | i would love to know | i wonder | i was wondering | i forgot | i always forget | i can't remember |
    i never know | remind me | can you remind me | could you please remind me | do you happen to know |
    do you remember | any idea | do you have any idea | would you know | my son asks | my daughter wants to know |
    the question is | for my homework i need to know | i'm trying to remember | help me remember | can you say |
    could you say | i'm not sure | explain to me | let me know | i need to know | may i ask | i have to know | who knows |
    we were just discussing | someone asked me |
    my teacher wants to know | my kid asks | my little brother wants to know | my grandma asks | a friend asked me | they asked me | would you be so kind as to tell me | would you mind telling me | be so kind and tell me |
    i have a test and forgot | i'm learning | i am curious | quick, tell me | i've been wondering | tell us | i cannot remember | what i want to know is
""")
LEAD_IN = listed("""
    hey, | hi, | hello, | hello! | ok, | okay, | so, | well, | um, | quick question: | quick one: | question: |
    a question: | another question: | next question: | trivia: | quiz: | quiz time: | pub quiz: | for 100 points: | for 50 points: | for 200 points: | for 500 points: | for a million: | for 1000 dollars: | for three points: |
    for ten points: | homework question: | geography question: | just curious: | just wondering, | sorry, | excuse me, |
    please, | bot, | chatbot, | hey chatbot, | hi there, | one more: | now: | and | but | then | tell me this: | help! |
    help me out: | in your opinion, | out of curiosity, | be honest, | seriously, | right, | guess: | simple question: | yo | yo, | dude, | man, | hmm, | hm, | listen, | look, | say, | buddy, |
    i have a quiz tomorrow: | i'm doing a crossword: | test question: | my kid wants to know: | my boss asks: | dear bot, | good evening, | for my class: | we have a bet: | just tell me, |
    school question: | for the exam: | easy one: | hard one: | last question:
""")
TAIL = listed("""
    please | please | pls | thx | thanks | again | again | , please | , do you know | , do you know that | , any idea |
    , can you tell me | , exactly | exactly | , tell me | , thanks | by the way | really | , if you know | actually |
    , remind me | i forgot | today | in short | right now | , chatbot | in one sentence | for me | , quick | anyway | lol | bro | man | mate | dude | rn | asap | my friend | , my friend | , dear | , bot | , just curious | , i wonder | ? i forgot | ? thanks | ? please | , no idea
""")
MISTYPED = {
    "what": ["waht", "wat", "whta", "wht"], "the": ["teh", "th", "hte"], "which": ["wich", "whcih", "whihc"], "who": ["woh", "whoo"], "when": ["wehn", "whne"], "how": ["hwo", "hw"],
    "many": ["mnay", "manny"], "and": ["adn", "nd"], "does": ["dose", "deos"], "tell": ["tel", "tlel"], "wrote": ["worte", "wrot", "wroet"], "whats": ["wats", "whts", "waths"], "year": ["yaer", "yeer"],
    "baby": ["babby", "bayb"], "city": ["ctiy", "citty"], "name": ["naem", "nmae"], "called": ["caled", "calld"], "have": ["hav", "ahve"], "largest": ["larget", "lagrest", "most large"], "biggest": ["bigest", "most big"], "smallest": ["smalest", "most small"],
    "highest": ["hihgest", "most high"], "longest": ["longset", "longst"], "fastest": ["fastset", "most fast"], "tallest": ["talest", "most tall"], "deepest": ["depest", "most deep"],
    "capital": ["captial", "capitol", "capitel", "capial"], "currency": ["currancy", "curency"], "continent": ["contnent", "continant"], "symbol": ["symbl", "simbol"], "author": ["auther", "autor"],
}  # fmt: skip
SLANG = {
    "you": "u", "are": "r", "people": "ppl", "please": "plz", "your": "ur", "what": "wat", "the": "da", "okay": "k", "about": "abt", "know": "kno", "something": "smth", "thanks": "thx", "question": "q",
    "chemical": "chem", "number": "nr", "years": "yrs", "minutes": "mins", "seconds": "secs", "hours": "hrs", "months": "mths", "doing": "doin", "tomorrow": "tmrw", "today": "2day",
}  # fmt: skip
GAP = listed("... | ___ | … | what | … ? | _____")

# What people say for a subject of the tables.
ALIASES = {
    "the United States": listed("the USA | USA | the US | America | the U.S. | the United States of America | the States"),
    "the United Kingdom": listed("the UK | UK | Great Britain | Britain | the U.K."),
    "the Philippines": ["Philippines"],
    "South Korea": ["the Republic of Korea", "S. Korea"],
    "Russia": ["the Russian Federation"],
    "China": ["the People's Republic of China", "mainland China"],
    "Turkey": ["Türkiye", "Turkiye"],
    "Ireland": ["the Republic of Ireland"],
    "aluminum": ["aluminium", "the metal aluminum"],
    "sulfur": ["sulphur"],
    "gold": ["the metal gold", "gold, the metal"],
    "lead": ["the metal lead"],
    "tin": ["the metal tin"],
    "iron": ["the element iron"],
    "mercury": ["the element mercury", "quicksilver", "mercury, the metal"],
    "hydrogen": ["the gas hydrogen", "the element hydrogen"],
    "oxygen": ["the element oxygen"],
    "Hamlet": ["the play Hamlet", "the tragedy Hamlet"],
    "Romeo and Juliet": ["Romeo & Juliet", "the play Romeo and Juliet"],
    "Don Quixote": ["the novel Don Quixote", "Don Quijote"],
    "War and Peace": ["the novel War and Peace", "War & Peace"],
    "Crime and Punishment": ["the novel Crime and Punishment", "Crime & Punishment"],
    "Pride and Prejudice": ["the novel Pride and Prejudice", "Pride & Prejudice"],
    "Moby-Dick": ["Moby Dick", "the novel Moby Dick", "Moby Dick"],
    "Frankenstein": ["the novel Frankenstein"],
    "Dracula": ["the novel Dracula", "the book Dracula"],
    "The Divine Comedy": ["Divine Comedy", "Dante's Divine Comedy"],
    "The Metamorphosis": ["Metamorphosis", "the story The Metamorphosis"],
    "The Hobbit": ["the book The Hobbit", "Hobbit"],
    "Animal Farm": ["the book Animal Farm"],
    "Treasure Island": ["the novel Treasure Island"],
    "On the Origin of Species": ["The Origin of Species", "Origin of Species"],
    "the Mona Lisa": ["Mona Lisa", "the painting Mona Lisa", "the famous Mona Lisa"],
    "The Starry Night": ["Starry Night", "the Starry Night", "the painting Starry Night"],
    "Guernica": ["the painting Guernica"],
    "The Night Watch": ["Night Watch", "the painting The Night Watch"],
    "The Scream": ["the painting The Scream", "Scream"],
    "the ceiling of the Sistine Chapel": [
        "the Sistine Chapel ceiling", "the Sistine Chapel", "the Sistine ceiling", "Sistine Chapel ceiling",
    ],
    "The Four Seasons": ["Four Seasons", "the Four Seasons", "the concertos The Four Seasons"],
    "The Magic Flute": ["Magic Flute", "the opera The Magic Flute"],
    "the Moonlight Sonata": ["Moonlight Sonata", "the piano piece Moonlight Sonata"],
    "Swan Lake": ["the ballet Swan Lake"],
    "the diesel engine": ["the diesel motor", "the Diesel engine"],
    "the World Wide Web": ["the web", "the WWW", "the world wide web", "World Wide Web"],
    "basketball": ["the game of basketball", "the sport basketball"],
    "penicillin": ["the antibiotic penicillin"],
    "the electron": ["electron", "the particle electron"],
    "radium": ["the element radium"],
    "the Battle of Hastings": ["the battle at Hastings", "the battle of hastings", "Hastings"],
    "the Battle of Agincourt": ["the battle at Agincourt", "Agincourt"],
    "the Battle of Trafalgar": ["the battle at Trafalgar", "Trafalgar"],
    "the Battle of Waterloo": ["the battle at Waterloo"],
    "the Battle of Gettysburg": ["the battle at Gettysburg", "Gettysburg"],
    "the Great Fire of London": ["the great London fire", "the Great Fire in London", "the big fire of London"],
    "the first landing of people on the Moon": [
        "the first moon landing", "the moon landing", "the first landing on the Moon", "the Apollo 11 landing",
        "the first manned moon landing",
    ],
    "the First World War": [
        "World War I", "WW1", "World War 1", "WWI", "world war one", "the Great War", "the 1st World War", "ww 1",
    ],
    "the Second World War": [
        "World War II", "WW2", "World War 2", "WWII", "world war two", "the 2nd World War", "ww 2",
    ],
    "the Titanic": ["Titanic", "the ship Titanic", "the RMS Titanic"],
    "the Berlin Wall": ["the wall in Berlin", "the Wall in Germany"],
    "Columbus": ["Christopher Columbus"],
    "the Suez Canal": ["Suez Canal", "the canal at Suez"],
    "the Panama Canal": ["Panama Canal", "the canal in Panama"],
    "a kilometer": ["one kilometer", "a kilometre", "a km", "1 km"],
    "a kilogram": ["one kilogram", "a kilo", "a kg", "1 kg"],
    "a week": ["one week", "each week", "a full week"],
    "a year": ["one year", "a calendar year", "each year"],
    "a day": ["one day", "a full day", "each day"],
    "an hour": ["one hour", "a full hour", "1 hour"],
    "a minute": ["one minute", "1 minute", "a full minute"],
    "a century": ["one century", "a full century"],
    "a spider": ["one spider"],
    "an insect": ["one insect", "any insect"],
    "a violin": ["the violin", "one violin"],
    "a chessboard": ["a chess board", "the chessboard", "a board of chess"],
    "the English alphabet": ["the alphabet", "our alphabet", "English alphabet"],
    "first": ["1st"], "second": ["2nd"], "third": ["3rd"], "fourth": ["4th"], "fifth": ["5th"], "sixth": ["6th"],
    "seventh": ["7th"], "eighth": ["8th"],
}  # fmt: skip

WAYS: dict[str, dict[str, list[str]]] = {
    "capital": {
        "noun": listed("""
            the capital of {0} | the capital city of {0} | {0}'s capital | {0}'s capital city | the name of {0}'s capital |
            the name of the capital of {0} | the capital in {0} | the city that is the capital of {0}
        """),
        "clause": listed("""
            which city is the capital of {0} | which city is {0}'s capital | what the capital of {0} is called |
            what city is the capital of {0} | what the capital city of {0} is | how the capital of {0} is called
        """),
        "ask": listed("""
            what is the capital of {0} called | {0}'s capital is called what | the capital of {0} is what |
            {0}'s capital is which city | {0} has which capital | what's {0}'s capital named | what capital does {0} have | what capital has {0} | {0}, what's its capital | {0}, what is its capital city | what is {0}'s capital | as for {0}, what is the capital | i'm going to {0} soon. what is the capital there | my friend lives in {0}. which city is the capital there |
            we were in {0} last year, what's the capital there | we are flying to {0}, what is its capital | i know {0}, but not its capital. what is it |
            which city does {0} have as its capital | what city serves as the capital of {0} | {0} has what capital city |
            the capital of {0} is which city | which is the capital of {0} | in {0}, which city is the capital |
            what do you call the capital of {0} | where is the capital of {0} | where does the government of {0} sit |
            from which city is {0} governed | in {0}, what is the capital
        """),
        "short": listed("""
            {bare} capital | capital {bare} | {bare}: capital | {bare} - capital | capital city {bare} | capital of {bare} |
            {bare} capital city | {bare}, capital | capital: {bare} | capital for {bare} | {bare} capital name |
            capital city of {bare} | {bare} main city capital
        """),
        "turned": listed("""
            {1} is the capital of which country | which country has {1} as its capital | {1} is capital of what country |
            of which country is {1} the capital | what country is {1} the capital of | whose capital is {1} |
            {1} is the capital of | which country's capital is {1} | is {1} the capital of {0} | the capital of {0} is GAP |
            {0}'s capital city is GAP | capital of {0} = GAP | {1} is the capital city of what country |
            {1} belongs to which country as its capital | if i am in {1}, which country's capital am i in | {1} - capital of which country | {1} is the capital of GAP | {1} capital of what | capital {1} which country |
            which country is governed from {1} | what country has its government in {1}
        """),
    },
    "currency": {
        "noun": listed("""
            the currency of {0} | {0}'s currency | the currency in {0} | the money of {0} | the money used in {0} |
            the official currency of {0} | the name of {0}'s currency | the local currency in {0} | the name of the money in {0}
        """),
        "clause": listed("""
            which currency {0} uses | what currency is used in {0} | what money is used in {0} | which money is used in {0} |
            what people pay with in {0} | which currency people use in {0} | what currency people have in {0} |
            what kind of money {0} has | what they pay with in {0} | what the money in {0} is called
        """),
        "ask": listed("""
            what currency does {0} use | what currency has {0} | {0}, what's its currency | i travel to {0}, what money do i need | when i am in {0}, what do i pay with | i'm going to {0} soon. what money do they use there | we are flying to {0} next week. what is the currency there | my friend lives in {0}. what does he pay with | if i go to {0}, which money will i need | which currency does {0} have | what is the money in {0} called |
            what do people pay with in {0} | in {0}, what do you pay with | what money do they use in {0} |
            which money does {0} have | how do people pay in {0} | what kind of money do they have in {0} |
            with what currency do i pay in {0} | what currency do i need in {0} | what money should i take to {0} |
            what coins and notes do they use in {0} | which currency do i need for a trip to {0} |
            {0} uses which currency | {0} pays in what currency | what cash do i need in {0} | what do they spend in {0}
        """),
        "short": listed("""
            {bare} currency | currency {bare} | {bare}: currency | {bare} - currency | {bare} money | money in {bare} |
            currency of {bare} | currency in {bare} | money used in {bare} | currency used in {bare} | currency: {bare} |
            {bare} money name | {bare} cash
        """),
        "turned": listed("""
            the currency of {0} is the GAP | in {0} people pay with GAP | {0}'s currency is called GAP |
            is the {1} the currency of {0} | do they use the {1} in {0} | can i pay with {1} in {0}
        """),
    },
    "continent": {
        "noun": listed("""
            the continent of {0} | {0}'s continent | the continent that {0} is on | the continent where {0} is |
            the continent {0} belongs to | the continent {0} lies on
        """),
        "clause": listed("""
            which continent {0} is on | which continent {0} is in | on which continent {0} lies | what continent {0} is on |
            which continent {0} belongs to | what continent {0} is part of | where in the world {0} is
        """),
        "ask": listed("""
            what continent is {0} on | what continent is {0} in | {0}, what's its continent | i'm going to {0} soon. which continent is that on | my friend lives in {0}. on which continent is that | on the globe, which continent is {0} on | {0} is in which part of the world, like which continent | in which continent is {0} | which continent is {0} part of |
            what continent is {0} part of | in what continent does {0} lie | where in the world is {0} | {0} is on which continent |
            {0} is in what continent | {0} belongs to which continent | on what continent do i find {0} |
            which continent does {0} lie on | where is {0} | where is {0} located | in which part of the world is {0} |
            to which continent does {0} belong | on what continent would you find {0}
        """),
        "short": listed("""
            {bare} continent | continent {bare} | {bare}: continent | {bare} - which continent | {bare}, what continent |
            continent of {bare} | continent: {bare} | which continent {bare} | {bare} which continent | what continent {bare}
        """),
        "turned": listed("""
            is {0} in {1} | is {0} a country in {1} | is {0} in {1} or in another continent | is {0} in Europe, Asia or Africa | is {0} in Asia or Africa | is {0} in America or in Europe | {0} is a country in GAP | {0} is on the continent of GAP |
            the continent of {0} is GAP | {0} lies in GAP
        """),
    },
    "symbol": {
        "noun": listed("""
            the chemical symbol of {0} | the chemical symbol for {0} | the symbol of {0} | the symbol for {0} | {0}'s symbol |
            {0}'s chemical symbol | the element symbol of {0} | the abbreviation for {0} | the letters for {0} |
            the symbol of the element {0} | the chemical abbreviation of {0} | the periodic table symbol for {0}
        """),
        "clause": listed("""
            which symbol {0} has | what symbol {0} has in the periodic table | what letters stand for {0} |
            how {0} is written in the periodic table | what {0} is abbreviated to in chemistry | which symbol stands for {0} |
            what symbol is used for {0} | which letters stand for {0}
        """),
        "ask": listed("""
            what symbol does {0} have | what symbol has {0} | {0}, what's its symbol | {0} - which symbol is it | which symbol stands for {0}, the element | i need {0} for chemistry class. what is its symbol | {0} has what symbol in chemistry | how do chemists write {0} | how is {0} abbreviated in chemistry |
            what is {0} in the periodic table | what's the sign for {0} in chemistry | how do you write {0} in chemistry |
            {0} has which chemical symbol | what letter or letters stand for {0} | what is {0} on the periodic table |
            which letters does {0} have in the periodic table | in chemistry, what is the symbol for {0}
        """),
        "short": listed("""
            {bare} symbol | symbol {bare} | {bare}: symbol | {bare} - symbol | {bare} chemical symbol | chemical symbol {bare} |
            symbol for {bare} | element symbol {bare} | {bare} periodic table | symbol of {bare} | {bare} element symbol |
            chemical symbol for {bare} | {bare} abbreviation chemistry
        """),
        "turned": listed("""
            {1} is the chemical symbol of which element | which element has the symbol {1} | what element is {1} |
            what element has the chemical symbol {1} | {1} stands for which element | {1} is the symbol of what |
            the chemical symbol of {0} is GAP | the symbol for {0} is GAP | is {1} the symbol for {0} | the element with the symbol {1} | element {1} | which element is {1} | {1} in the periodic table | which chemical element has the letters {1} | name the element with symbol {1}
        """),
    },
    "book": {
        "noun": listed("""
            the author of {0} | the writer of {0} | {0}'s author | the name of the author of {0} | the man or woman who wrote {0} |
            the person who wrote {0} | the author of the book {0} | the author who wrote {0}
        """),
        "clause": listed("""
            who wrote {0} | who the author of {0} is | who has written {0} | who penned {0} | which author wrote {0} |
            which writer wrote {0} | by whom {0} was written | who authored {0} | who the writer of {0} was
        """),
        "ask": listed("""
            who's the author of {0} | whos the author of {0} | {0} was written by whom | by whom is {0} | who is {0} by |
            {0} is by which author | whose book is {0} | {0} is a book by whom | by which author is {0} |
            who came up with {0} | which famous writer wrote {0} | who was the author of {0} | who did write {0} |
            {0} was written by which author | whose work is {0} | from whose pen is {0} | from which author is {0} | who was it that wrote {0} | who is the man or woman behind {0} | whos the guy who wrote {0} | who is the writer of {0}
        """),
        "short": listed("""
            {bare} author | author {bare} | {bare} - who wrote it | {bare}: author | {bare} writer | {bare} written by |
            {bare} by whom | author of {bare} | writer of {bare} | {bare} - author | {bare}, who wrote that | wrote {bare} |
            {bare} book author | {bare}: who wrote this
        """),
        "turned": listed("""
            {0} was written by GAP | the author of {0} is GAP | did {1} write {0} | is {0} by {1} | was {0} written by {1} |
            the writer of {0} was GAP
        """),
    },
    "painted": {
        "noun": listed("""
            the painter of {0} | the artist who painted {0} | the artist behind {0} | the creator of {0} |
            the name of the painter of {0} | the person who painted {0}
        """),
        "clause": listed("""
            who painted {0} | who the painter of {0} is | which artist painted {0} | which painter painted {0} |
            by whom {0} was painted | who created {0} | who made {0} | which painter made {0}
        """),
        "ask": listed("""
            {0} was painted by whom | who's the painter of {0} | whos the guy who painted {0} | who did {0} | who was it that did {0} | whose work is {0} | {0} is by which artist | who is {0} by | whose painting is {0} |
            which artist created {0} | by which painter is {0} | who is the artist of {0} | which famous painter did {0}
        """),
        "short": listed("""
            {bare} painter | painter of {bare} | {bare} artist | {bare} - who painted it | {bare}: painter | {bare} painted by |
            artist {bare} | painter {bare} | {bare} by whom | {bare}: artist
        """),
        "turned": listed("{0} was painted by GAP | did {2} paint {0} | the painter of {0} is GAP | was {0} painted by {2}"),
    },
    "composed": {
        "noun": listed("""
            the composer of {0} | the composer who wrote {0} | the name of the composer of {0} | the musician behind {0} |
            the person who composed {0}
        """),
        "clause": listed("""
            who composed {0} | who the composer of {0} is | which composer wrote {0} | who wrote the music of {0} |
            by whom {0} was composed | who wrote {0} | who created {0} | which composer composed {0}
        """),
        "ask": listed("""
            {0} was composed by whom | who's the composer of {0} | {0} is by which composer | who is {0} by |
            whose composition is {0} | whos the guy who composed {0} | whose work is {0} | who did the music for {0} | by which composer is {0} | whose music is {0}
        """),
        "short": listed("""
            {bare} composer | composer of {bare} | {bare} - who composed it | {bare}: composer | {bare} composed by |
            composer {bare} | {bare} music by | {bare} by whom
        """),
        "turned": listed("{0} was composed by GAP | did {2} compose {0} | the composer of {0} is GAP | did {2} write {0}"),
    },
    "invented": {
        "noun": listed("""
            the inventor of {0} | the person who invented {0} | the creator of {0} | the name of the inventor of {0} |
            the father of {0} | the mind behind {0}
        """),
        "clause": listed("""
            who invented {0} | who the inventor of {0} is | who came up with {0} | who created {0} | which person invented {0} |
            by whom {0} was invented | who thought of {0} | who made the first version of {0} | who had the idea for {0} |
            who made {0}
        """),
        "ask": listed("""
            {0} was invented by whom | who's the inventor of {0} | whose invention is {0} | who do we have to thank for {0} |
            {0} is whose invention | who first built or thought up {0} | to whom do we owe {0} | which inventor came up with {0} | whos the guy who invented {0} | whos the guy that made {0} | {0} was the invention of whom | {0} was the idea of who |
            who gave us {0} | who first came up with {0}
        """),
        "short": listed("""
            {bare} inventor | inventor of {bare} | {bare} - who invented it | {bare}: inventor | {bare} invented by |
            inventor {bare} | invented {bare} | {bare} by whom | {bare} creator
        """),
        "turned": listed("{0} was invented by GAP | did {2} invent {0} | the inventor of {0} is GAP | was {0} invented by {2}"),
    },
    "discovered": {
        "noun": listed("""
            the discoverer of {0} | the scientist who discovered {0} | the person who discovered {0} |
            the name of the discoverer of {0} | the people or person who discovered {0} | the scientist behind {0}
        """),
        "clause": listed("""
            who discovered {0} | who the discoverer of {0} is | which scientist discovered {0} | who found {0} |
            by whom {0} was discovered | who first discovered {0} | who first found {0}
        """),
        "ask": listed("""
            {0} was discovered by whom | who's the discoverer of {0} | whose discovery is {0} |
            {0} is whose discovery | to whom do we owe the discovery of {0} | who made the discovery of {0} |
            what scientist found {0}
        """),
        "short": listed("""
            {bare} discoverer | discoverer of {bare} | {bare} - who discovered it | {bare}: discoverer | {bare} discovered by |
            discovered {bare} | {bare} found by | {bare} discovery who
        """),
        "turned": listed("{0} was discovered by GAP | did {2} discover {0} | the discovery of {0} was made by GAP"),
    },
    "event": {
        "noun": listed("the year when {0} {2} | the date when {0} {2} | the year in which {0} {2} | the year {0} {2}"),
        "clause": listed("when {0} {2} | what year {0} {2} | in which year {0} {2} | in what year {0} {2} | which year {0} {2}"),
        "ask": listed("""
            when did {0} {1} | what year did {0} {1} | in what year did {0} {1} | which year did {0} {1} | {0} {2} when |
            {0} {2} in which year | {0} {2} in what year | at what time in history did {0} {1} | when exactly did {0} {1} |
            when was it that {0} {2}
        """),
        "short": listed("{bare} {1} when | when {bare} {1} | {bare} {2} when | when {bare} {2} | {bare} {2} year | year {bare} {2} | date {bare} {2} | year {0} {2} | {bare} {2} date | the year {0} {2}"),
        "turned": listed("{0} {2} in GAP | did {0} {1} in {3} | {0} {2} in the year GAP"),
    },
    "number": {
        "noun": listed("""
            the number of {1} in {0} | the number of {1} {0} has | how many {1} there are in {0} | the number of {1} of {0}
        """),
        "clause": listed("how many {1} {0} has | how many {1} are in {0} | how many {1} there are in {0} | how many {1} {0} has got"),
        "ask": listed("""
            how many {1} in {0} | how many {1} are there in {0} | {0} has how many {1} | how many {1} make {0} |
            how many {1} make up {0} | how many {1} are there to {0} | how many {1} has {0} | how many {1} do you get in {0} |
            how many {1} do you find on {0} | how many {1} does {0} contain | {1} in {0}, how many | in {0}, how many {1} are there |
            how many {1} per {bare} | how many {1} has {0} in total | how many {1} can you count on {0}
        """),
        "short": listed("""
            {bare} {1} | {1} {bare} | {1} in {0} | {bare}: how many {1} | {bare} how many {1} | number of {1} {bare} |
            number of {1} in {0} | {1} of {0} | {1} per {bare} | how many {1} {bare} | {bare} - how many {1} | {bare} number of {1}
        """),
        "turned": listed("{0} has GAP {1} | does {0} have {2} {1} | are there {2} {1} in {0}"),
    },
    "young": {
        "noun": listed("""
            the word for a baby {bare} | the name for a baby {bare} | the name of a young {bare} | the name for a young {bare} |
            the word for a young {bare} | the term for a baby {bare} | the young of a {bare} | the baby of a {bare} |
            the offspring of a {bare} | a baby {bare} called | the proper word for a {bare}'s baby | the name for a {bare}'s young
        """),
        "clause": listed("""
            what a baby {bare} is called | what a young {bare} is called | what you call a baby {bare} | what a {bare}'s baby is called |
            how a young {bare} is called | what people call a young {bare}
        """),
        "ask": listed("""
            what is a baby {bare} called | what's a baby {bare} called | what do you call a baby {bare} | what are baby {bare}s called |
            a baby {bare} is called what | a young {bare} is called what | what do you call the young of a {bare} |
            what is a {bare}'s baby called | what is a baby {bare} | how do you call a baby {bare} | what is the offspring of a {bare} called |
            what do we call a {bare} when it is young | what is a little {bare} called | what are young {bare}s called |
            a {bare}'s baby is a what | the babies of a {bare} are called what | what name does a baby {bare} have | {bare} babies are called what | how is a baby {bare} called | what's the name of a newborn {bare}
        """),
        "short": listed("""
            baby {bare} | young {bare} | baby {bare} name | {bare} baby | {bare} baby name | young {bare} name | {bare}: young |
            {bare} - baby | word for baby {bare} | young of {bare} | baby of a {bare} | {bare} young called | {bare} offspring |
            baby {bare} word
        """),
        "turned": listed("""
            a young {bare} is called a GAP | a baby {bare} is a GAP | is a young {bare} called a {1} | a {1} is a young what |
            a {1} is the young of which animal | what animal is a {1} | which animal's baby is a {1} | a {1} is a baby what |
            what kind of animal has a {1} as its young
        """),
    },
    "planet": {
        "noun": listed("""
            the {0} planet from the Sun | the {0} planet | planet number {0} from the Sun | the name of the {0} planet |
            the {0} planet of the solar system | the {0} planet in our solar system | the planet that is {0} from the Sun |
            the {0} planet counting from the Sun
        """),
        "clause": listed("""
            which planet is {0} from the Sun | which planet is the {0} from the Sun | what planet is {0} from the Sun |
            which is the {0} planet | which planet comes {0} from the Sun | which of the planets is the {0}
        """),
        "ask": listed("""
            which planet is number {0} from the Sun | the {0} planet from the Sun is which | which planet orbits {0} from the Sun |
            counting from the Sun, which planet is {0} | what's the {0} rock or gas ball from the Sun |
            which world is {0} from the Sun | starting at the Sun, what is the {0} planet
        """),
        "short": listed("""
            {0} planet | {0} planet from sun | planet {0} from sun | planet {0} | {0} planet solar system | {0} planet name |
            planets: {0} | {0} from the sun
        """),
        "turned": listed("""
            the {0} planet from the Sun is GAP | is {1} the {0} planet from the Sun | which place does {1} have from the Sun |
            what number planet from the Sun is {1} | {1} is which planet from the Sun | how many planets from the Sun is {1}
        """),
    },
    "definition": {
        "noun": listed("the meaning of {0} | the definition of {0} | {0} | what {0} is | a definition of {bare} | the meaning of the word {bare}"),
        "clause": listed("what {0} is | what {bare} means | what the word {bare} means | what is meant by {bare} | what {0} is exactly"),
        "ask": listed("""
            what is {0} | what's {0} | whats {0} | what exactly is {0} | what does {bare} mean | what does the word {bare} mean |
            what is {0} in simple words | how do you define {0} | can you explain {0} | could you explain {0} | explain {0} |
            please explain {0} | describe {0} | describe what {0} is | define {bare} | define the word {bare} | define {0} |
            give a definition of {bare} | give me a short definition of {bare} | what do people mean by {bare} | explain {bare} to me |
            what do you understand by {bare} | how would you explain {0} | explain {0} to a child | explain {0} like i am five | explain to my grandmother what {0} is | could you explain to my son what {0} is | explain to me like i'm five what {0} is | what do people mean when they say {bare} |
            i read about {bare}. what is that | my teacher talked about {bare}, what is that | {bare} is what |
            what do scientists mean by {bare} | what is {bare} | in simple terms, what is {0} | what sort of thing is {0}
        """),
        "short": listed("""
            {bare} | {bare} meaning | {bare} definition | meaning of {bare} | definition of {bare} | {bare} explained | {bare}: definition |
            {bare} - what is it | {bare}, what is that | {bare} mean | define: {bare} | definition: {bare}
        """),
        "turned": ["{0} is GAP"],
    },
    "who": {  # facts about a person: "the first person on the Moon", with the names of ALSO_CALLED
        "noun": ["{0}", "the name of {0}"],
        "clause": listed("who {0} was | who was {0} | who {0} is | what {0} was called | which person was {0}"),
        "ask": listed("who was {0} | who is {0} | who was {0} | {0} was who | what was the name of {0} | who became {0} | {0} - who was it"),
        "short": listed("{bare} | {bare} name | name of {bare} | {bare} - who | who {bare} | {bare}: who"),
        "turned": listed("{0} was GAP | was {1} {0} | {0} is GAP"),
    },
    "thing": {  # the same for records: "the largest ocean on Earth"
        "noun": ["{0}", "{0}", "the name of {0}"],
        "clause": listed("what {0} is | what {0} is called | which one is {0}"),
        "ask": listed("what is {0} | what's {0} | whats {0} | which is {0} | {0} is what | {0} is which | what is {0} called | what would you say is {0}"),
        "short": listed("{bare} | {bare} | {bare} | {bare} name | name of {bare} | {bare}: name"),
        "turned": listed("{0} is GAP | is {1} {0} | {0} is called GAP"),
    },
}  # fmt: skip

# Records are composed once more: adjectives, nouns and places, then questions of their own.
RECORD_PARTS = {
    "the largest ocean on Earth": (
        "largest | biggest | hugest | largest", "ocean", "on Earth | in the world | of the world | worldwide | on the planet | there is | WORLD |",
        "which ocean is the largest | which ocean is the biggest | what ocean is biggest | which ocean covers the most area | what is the ocean with the most water",
    ),
    "the highest mountain above sea level": (
        "highest | tallest", "mountain | peak", "above sea level | on Earth | in the world | of the world | worldwide | on the planet | on our planet | WORLD |",
        "which mountain is the highest | which mountain is the tallest in the world | what mountain is highest | which peak is the highest on earth | what mountain has the highest summit",
    ),
    "the highest mountain in Africa": (
        "highest | tallest", "mountain | peak", "in Africa | of Africa | on the African continent",
        "Africa's highest mountain | Africa's tallest mountain | africa highest mountain | which mountain in Africa is the highest | which african mountain is the tallest",
    ),
    "the longest river in Africa": (
        "longest", "river", "in Africa | of Africa | on the African continent",
        "Africa's longest river | africa longest river | which river in Africa is the longest | which african river is the longest | which river is longest in africa",
    ),
    "the longest river in South America": (
        "longest", "river", "in South America | of South America",
        "South America's longest river | south america longest river | which river in South America is the longest | which south american river is longest",
    ),
    "the longest river in Europe": (
        "longest", "river", "in Europe | of Europe",
        "Europe's longest river | europe longest river | which river in Europe is the longest | which european river is the longest | which river is longest in europe",
    ),
    "the deepest lake on Earth": (
        "deepest", "lake", "on Earth | in the world | of the world | worldwide | on the planet | on our planet | WORLD |",
        "which lake is the deepest | what lake is deepest | which lake goes down the farthest | which lake has the greatest depth",
    ),
    "the largest island on Earth": (
        "largest | biggest | hugest | largest", "island", "on Earth | in the world | of the world | worldwide | on the planet | on our planet | WORLD |",
        "which island is the largest | which island is the biggest | what island is biggest | which island has the largest area",
    ),
    "the largest hot desert on Earth": (
        "largest | biggest | hugest | largest", "hot desert", "on Earth | in the world | of the world | worldwide | on the planet | on our planet | WORLD |",
        "which hot desert is the largest | which hot desert is the biggest | of all hot deserts, which is the largest",
    ),
    "the largest continent": (
        "largest | biggest | hugest | largest", "continent", "on Earth | in the world | of the world | WORLD | |",
        "which continent is the largest | which continent is the biggest | what continent is biggest | which continent has the largest area",
    ),
    "the largest country by area": (
        "largest | biggest | hugest | largest", "country | nation", "by area | in the world by area | on Earth | in the world | WORLD | by size | by land area |",
        "which country is the largest | which country is the biggest | which country has the largest area | what country has the most land | which country covers the most land",
    ),
    "the smallest country by area": (
        "smallest | tiniest", "country | nation | state", "by area | in the world by area | on Earth | in the world | WORLD | by size |",
        "which country is the smallest | what country is the smallest | which country has the smallest area | which country is tiniest | which country has the least land",
    ),
    "the largest animal on Earth": (
        "largest | biggest | hugest | largest", "animal | creature", "on Earth | in the world | alive | of all | that lives | WORLD | today |",
        "which animal is the largest | which animal is the biggest | what animal is biggest | what is the biggest animal of them all | which creature is the largest",
    ),
    "the tallest living animal": (
        "tallest", "living animal | animal | living creature | land animal", "on Earth | in the world | alive | today | worldwide | WORLD | |",
        "which animal is the tallest | what animal is tallest | which animal stands the tallest | which living thing among animals is the tallest | what animal has the greatest height",
    ),
    "the fastest land animal": (
        "fastest | quickest", "land animal | animal on land | animal on legs | running animal", "on Earth | in the world | alive | worldwide | WORLD | |",
        "which land animal is the fastest | which animal runs the fastest | what animal runs fastest | which animal is the fastest runner | which land animal is the quickest",
    ),
    "the largest living bird": (
        "largest | biggest | hugest | largest", "living bird | bird", "on Earth | in the world | alive | today | worldwide | WORLD | |",
        "which bird is the largest | which bird is the biggest | what bird is biggest | which living bird is the largest",
    ),
    "the largest planet in the solar system": (
        "largest | biggest | hugest | largest", "planet", "in the solar system | of the solar system | in our solar system | around the Sun | |",
        "which planet is the largest | which planet is the biggest | what planet is biggest | of all planets, which is the largest | our solar system's largest planet",
    ),
    "the hottest planet in the solar system": (
        "hottest | warmest", "planet", "in the solar system | of the solar system | in our solar system | around the Sun | |",
        "which planet is the hottest | what planet is hottest | which planet has the highest temperature | on which planet is it hottest | our solar system's hottest planet",
    ),
    "the nearest star to the Earth": (
        "nearest | closest", "star", "to the Earth | to Earth | to us | to our planet | from Earth",
        "which star is closest to Earth | which star is the nearest to the Earth | which star is nearest to us | what star is closest to us | earth's nearest star",
    ),
    "the lightest chemical element": (
        "lightest", "chemical element | element", "in the periodic table | of all | in the universe | in chemistry | |",
        "which element is the lightest | what element is lightest | which chemical element weighs the least | which element has the smallest mass | which element has the lowest mass",
    ),
}  # fmt: skip

# Names and questions of single facts, which no kind shares.
ALSO_CALLED = {
    "the first person on the Moon": listed("""
        the first man on the Moon | the first guy on the Moon | the first human on the Moon | the first person to walk on the Moon | the first man to walk on the Moon |
        the first person to set foot on the Moon | the first human being on the Moon | the first astronaut on the Moon |
        the first one on the Moon | the first to step on the Moon | the first moonwalker | the first man who walked on the moon
    """),
    "the first person in space": listed("""
        the first man in space | the first guy in space | the first human in space | the first person to go to space | the first man to fly into space |
        the first human being in space | the first person to travel to space | the first person in outer space | the first cosmonaut |
        the first man to travel into space | the first human to orbit the Earth
    """),
    "the first woman in space": listed("""
        the first woman to go to space | the first female in space | the first woman to fly into space | the first lady in space |
        the first woman who went into space | the first female cosmonaut | the first woman to travel to space | the first woman in outer space
    """),
    "the first president of the United States": listed("""
        the first US president | the first president of the US | the first president of the USA | America's first president |
        the first American president | the first U.S. president | the very first president of the United States | the first president of America |
        the United States' first president | president number one of the United States
    """),
    "the first Roman emperor": listed("""
        the first emperor of Rome | Rome's first emperor | the first emperor of the Roman Empire | the first emperor in Rome |
        the first of the Roman emperors | the very first Roman emperor | the Roman Empire's first emperor
    """),
}
MORE_QUESTIONS = {
    "the first person on the Moon": listed("""
        who walked on the moon first | who was first on the moon | who first set foot on the moon | who set foot on the moon first |
        who stepped on the moon first | Neil Armstrong was the first person where | which astronaut was the first on the moon |
        which person was first to walk on the moon | who walked on the moon before anyone else | first on the moon |
        who was the first to walk on the moon | which man first walked on the moon
    """),
    "the first person in space": listed("""
        who flew to space first | who was first in space | who went to space first | which person was the first in space |
        first in space | who was the first to go into space | which cosmonaut was first in space | who was in space before anyone else |
        who was the first to fly in space
    """),
    "the first woman in space": listed("""
        which woman was first in space | which woman went to space first | which woman flew to space first | first female astronaut |
        which woman was the first to go to space | woman first in space | who was the first woman up in space
    """),
    "the first president of the United States": listed("""
        who was president of the United States first | who became the first US president | who was the first to be president of the USA |
        who was the US's first president | usa first president | which man was the first president of the US |
        who was the first person to be president of the United States
    """),
    "the first Roman emperor": listed("""
        which emperor was the first of Rome | who was emperor of Rome first | who became the first emperor of Rome |
        which Roman was the first emperor | rome first emperor | who was the first to rule Rome as emperor
    """),
    "Constantinople": listed("""
        when was Constantinople conquered by the Ottomans | when did the Ottomans take Constantinople | fall of Constantinople year |
        when did the Ottomans conquer Constantinople | fall of constantinople | what year was the fall of Constantinople |
        when did Constantinople fall | year Constantinople fell
    """),
    "Columbus": listed("""
        when did Columbus discover America | when did Columbus sail to America | in what year did Columbus get to America |
        when did Columbus arrive in America | columbus america year | when did Columbus land in the Americas |
        what year did Columbus come to America | columbus reached america when | when did Columbus reach the New World
    """),
    "first": listed("planet number one | planet number one from the Sun | which planet is number one | what is planet 1 | planet no. 1 from the sun | planet one from the Sun | number one of the planets | closest planet to the Sun | which planet is nearest to the Sun | the planet closest to the sun | which planet is the closest to the Sun | innermost planet | what planet is right next to the Sun"),
    "second": listed("planet number two | planet number two from the Sun | which planet is number two | what is planet 2 | planet no. 2 from the sun | planet two from the Sun | number two of the planets"),
    "third": listed("planet number three | planet number three from the Sun | which planet is number three | what is planet 3 | planet no. 3 from the sun | planet three from the Sun | number three of the planets"),
    "fourth": listed("planet number four | planet number four from the Sun | which planet is number four | what is planet 4 | planet no. 4 from the sun | planet four from the Sun | number four of the planets"),
    "fifth": listed("planet number five | planet number five from the Sun | which planet is number five | what is planet 5 | planet no. 5 from the sun | planet five from the Sun | number five of the planets"),
    "sixth": listed("planet number six | planet number six from the Sun | which planet is number six | what is planet 6 | planet no. 6 from the sun | planet six from the Sun | number six of the planets"),
    "seventh": listed("planet number seven | planet number seven from the Sun | which planet is number seven | what is planet 7 | planet no. 7 from the sun | planet seven from the Sun | number seven of the planets"),
    "eighth": listed("planet number eight | planet number eight from the Sun | which planet is number eight | what is planet 8 | planet no. 8 from the sun | planet eight from the Sun | number eight of the planets | the outermost planet | last planet from the Sun | which planet is the farthest from the Sun | the planet farthest from the Sun | which planet is last counting from the sun"),
    "photosynthesis": listed("how do plants make sugar from light | what do plants do in photosynthesis | how does photosynthesis work"),
    "gravity": listed("what force pulls objects with mass together | what makes things fall | what force pulls things down to the ground"),
    "evaporation": listed("what is it called when a liquid turns into a gas at its surface | what is it called when water becomes vapor | how does evaporation work"),
    "friction": listed("which force resists sliding | what force slows down sliding things | which force resists the sliding of surfaces"),
    "DNA": listed("what does DNA do | which molecule carries genetic information | what molecule holds the genes of living things"),
    "an atom": listed("what are atoms | what is the smallest unit of a chemical element called | smallest unit of an element"),
    "a molecule": listed("what are molecules | what do you call a group of atoms held together by chemical bonds | group of bonded atoms called"),
    "a galaxy": listed("what are galaxies | what do you call a huge group of stars, gas and dust | a huge group of stars is called what"),
    "a mammal": listed("what are mammals | what makes an animal a mammal | which animals feed their young with milk"),
    "a vertebrate": listed("what are vertebrates | what do you call an animal with a backbone | animal with a backbone called"),
    "a volcano": listed("what are volcanoes | what is an opening in the ground with lava and ash called | where do lava and ash escape from the ground"),
    "a peninsula": listed("what are peninsulas | what is land almost surrounded by water called | land that is almost surrounded by water"),
    "a noun": listed("what are nouns | which kind of word names a person, place or thing | what is a word for a person, place, thing or idea called"),
    "an algorithm": listed("what are algorithms | what is a step-by-step method for solving a problem called | step by step method to solve a problem"),
    "a language model": listed("what are language models | what does a language model do | which program predicts the next word of a text"),
    "a prime number": listed("what are prime numbers | what is a prime | what makes a number prime | when is a number prime | define primes"),
    "waterloo_what": listed("""
        the Battle of Waterloo | battle of waterloo | waterloo battle | describe the Battle of Waterloo | explain the Battle of Waterloo |
        what was Waterloo | explain Waterloo | what's the Battle of Waterloo | summary of the Battle of Waterloo | what happened in the Battle of Waterloo |
        give me an overview of the Battle of Waterloo | what went on at Waterloo | i want to learn about the Battle of Waterloo | waterloo battle summary |
        what do you know about Waterloo | say something about the Battle of Waterloo | the battle at Waterloo, what was that | info on waterloo
    """),
    "waterloo_who": listed("""
        which sides fought at Waterloo | who were the sides at Waterloo | who took part in the Battle of Waterloo | who was fighting at Waterloo |
        who fought against whom at Waterloo | what armies met at Waterloo | which armies met in the Battle of Waterloo | armies at waterloo |
        who faced whom at Waterloo | waterloo who fought | name the armies at Waterloo | who were the opponents at the Battle of Waterloo |
        who battled at Waterloo | who was in the Battle of Waterloo | fought at waterloo who
    """),
    "waterloo_won": listed("""
        who was the winner at Waterloo | winner of the Battle of Waterloo | waterloo winner | who won Waterloo | battle of waterloo winner |
        who were the winners of the Battle of Waterloo | who came out on top at Waterloo | who beat Napoleon at Waterloo | who defeated Napoleon at Waterloo |
        who was victorious at Waterloo | whose victory was Waterloo | which armies won at Waterloo | who gained the victory at Waterloo | waterloo who won |
        who defeated the French at Waterloo
    """),
    "waterloo_lost": listed("""
        who was the loser at Waterloo | loser of the Battle of Waterloo | waterloo loser | who lost Waterloo | battle of waterloo loser |
        who was beaten at Waterloo | who was defeated at Waterloo | who suffered defeat at Waterloo | whose defeat was Waterloo | waterloo who lost |
        which general lost at Waterloo | which emperor lost the Battle of Waterloo | who got beaten at Waterloo | who was on the losing side at Waterloo
    """),
    "waterloo_where": listed("""
        where is Waterloo | location of the Battle of Waterloo | waterloo location | battle of waterloo where | in what country was Waterloo fought |
        where did they fight the Battle of Waterloo | the place of the Battle of Waterloo | near which town was the Battle of Waterloo | where was Waterloo fought |
        which country was the Battle of Waterloo in | where did Waterloo happen | where did the Battle of Waterloo happen | battle of waterloo place |
        in which present-day country did the Battle of Waterloo take place | battle of waterloo country
    """),
    "boiling": listed("""
        what temperature does water boil at | water boiling point | boiling point water | water boils at what temperature | at how many degrees does water boil |
        how hot must water be to boil | water's boiling point | what's the boiling point of water | the boiling temperature of water | water boils at how many degrees |
        at what temp does water boil | how hot does water have to be to boil | when does water start to boil | boiling temperature water | in Celsius, when does water boil |
        water boils at GAP | at which temperature does water start boiling | how many degrees for boiling water | temperature of boiling water |
        does water boil at 100 degrees | what is water's boiling temperature at sea level
    """),
    "freezing": listed("""
        what temperature does water freeze at | water freezing point | freezing point water | water freezes at what temperature | at how many degrees does water freeze |
        how cold must it be for water to freeze | water's freezing point | what's the freezing point of water | the freezing temperature of water | water freezes at how many degrees |
        at what temp does water freeze | how cold does it have to be for water to freeze | when does water turn to ice | when does water become ice | freezing temperature water |
        in Celsius, when does water freeze | water freezes at GAP | at what temperature does water turn into ice | how many degrees for freezing water |
        does water freeze at 0 degrees | at what temperature does ice form
    """),
    "water_formula": listed("""
        water formula | chemical formula water | formula for water | what's the chemical formula of water | water's chemical formula | water chemical formula |
        how do chemists write water | how is water written in chemistry | H2O is the formula of what | what is H2O | the molecular formula of water |
        what formula does water have | the chemical formula of water is GAP | what is water in chemistry | which formula stands for water | chemistry formula for water |
        what's water's formula | how do you write water as a formula | formula water | what does H2O stand for | the formula of water is GAP
    """),
    "year_orbit": listed("""
        how long does it take for the Earth to orbit the Sun | how long does one trip of the Earth around the Sun take | how long does the earth need to go round the sun |
        how long is the Earth's orbit around the Sun in time | earth orbit time | time of earth's orbit | how long does Earth take to orbit the Sun |
        in what time does the Earth go around the Sun | how long for the Earth to circle the Sun | earth around sun how long | the Earth goes around the Sun in GAP |
        how much time does one orbit of the Earth take | how long is one orbit of the Earth around the Sun | what is the orbital period of the Earth |
        how long does our planet take to go around the Sun | how long until the Earth has gone around the Sun once | earth's orbital period |
        how many years does one orbit of the Earth around the Sun take | how long does it take our planet to travel around the Sun
    """),
    "a hexagon": listed("a shape with six sides is called what | which shape has six sides | what do you call a shape with six sides"),
    "a pentagon": listed("a shape with five sides is called what | which shape has five sides | what do you call a shape with five sides"),
    "an octagon": listed("a shape with eight sides is called what | which shape has eight sides | what do you call a shape with eight sides"),
    "a triangle": listed("which shape has three sides | what do you call a shape with three sides | how many edges does a triangle have"),
    "a spider": listed("how many legs do spiders have | how many legs has a spider got all together | spider leg count | how many legs do spiders walk on"),
    "an insect": listed("how many legs do insects have | how many legs do all insects have | insect leg count | how many legs do insects walk on"),
    "a year": listed("how many months make a year | how many months are there in the year | how many months till a year is over"),
    "a week": listed("how many days make a week | how many days are there in the week | how many days does every week have"),
    "a day": listed("how many hours make a day | how many hours are there in the day | how many hours does one day have"),
    "the English alphabet": listed("how many letters are in the alphabet | how many letters from A to Z | letters from a to z how many | how many letters does English use"),
    "a chessboard": listed("how many squares are on a chessboard | how many fields does a chessboard have | squares on a chess board | how many squares on a chessboard"),
    "a violin": listed("how many strings are on a violin | how many strings on a violin | how many strings do violins have | violin string count"),
    "a square": listed("how many edges does a square have | how many sides do squares have | how many sides are there on a square"),
    "a century": listed("how long is a century in years | how many years make a century | a century is how many years"),
    "a kilometer": listed("metres in a kilometre | kilometre metres | how many metres make a kilometre | how many meters make a kilometer | how many metres are in a kilometre | a kilometer is how many meters | meters to a kilometer | 1 km in m"),
    "a kilogram": listed("how many grams make a kilogram | a kilogram is how many grams | grams to a kilogram | 1 kg in grams | how many grams in a kilo"),
    "an hour": listed("how many minutes make an hour | how long is an hour in minutes | an hour is how many minutes"),
    "a minute": listed("how many seconds make a minute | how long is a minute in seconds | a minute is how many seconds"),
    "the Berlin Wall": listed("when did the Berlin Wall come down | what year did the Berlin Wall come down | fall of the Berlin Wall year | when was the fall of the Berlin Wall"),
    "the Titanic": listed("titanic sinking year | when did the Titanic go down | what year did the Titanic go under | sinking of the Titanic date | when was the Titanic lost"),
    "the French Revolution": listed("when did the French Revolution start | french revolution start | start of the French Revolution | when was the French Revolution | french revolution year"),
    "the Suez Canal": listed("when was the Suez Canal opened | suez canal opening year | opening of the Suez Canal | what year was the Suez Canal opened"),
    "the Panama Canal": listed("when was the Panama Canal opened | panama canal opening year | opening of the Panama Canal | what year was the Panama Canal opened"),
    "the first landing of people on the Moon": listed("""
        when did people first land on the Moon | when did man first land on the moon | when did humans first walk on the moon | moon landing year |
        when did the first people land on the Moon | what year was the moon landing | when was the first moon landing | year of the first moon landing |
        when did we land on the moon | when did Apollo 11 land on the Moon
    """),
    "the Great Fire of London": listed("when was the Great Fire of London | when did London burn | great fire of london year | in what year was the Great Fire of London | london fire year"),
}  # fmt: skip
# Wars "begin" and "end"; battles just happen.
WAR_WAYS = {
    "begin": listed("""
        when did {0} start | what year did {0} start | when {0} started | {0} start | {0} start date | start date of {0} | year {0} started | {0} starting year | {0} beginning | when {0} started | {0} start year | start of {0} | beginning of {0} | {0} began when |
        {0} started in which year | when did {0} break out | in what year did {0} start | the year {0} started | when was the start of {0} | the start of {0} |
        {0} beginning year | {0} started when
    """),
    "end": listed("""
        what year was {0} over | when was {0} over | {0} end | {0} end year | end of {0} | {0} ended when | {0} end date | {0} finish | year {0} was over | in what year did {0} finish | the end of {0} | when was the end of {0} |
        in which year was {0} over | when did {0} finish | {0} finished in what year | year {0} ended | when did {0} come to an end | {0} over when
    """),
    "take place": listed("""
        when was {0} | what year was {0} | in which year was {0} | when did {0} happen | {0} year | {0} date | {0} when | year of {0} | date of {0} | the date of {0} |
        the year of {0} | what is the date of {0} | {0} happened when | when was {0} fought | what year did {0} happen | {0}, what year | when exactly was {0} | in what year was {0} |
        {0} was in what year | {0} was when | {0}: year | {0} was in the year GAP
    """),
}  # fmt: skip

# ---------------------------------------------------------------------------------------------------------------------
# What was not taught, and is asked in the same ways: the answer is DONT_KNOW, even where anybody would know it.

OTHER_COUNTRIES = listed("""
    Tonga | Samoa | Bhutan | Malta | Cyprus | Moldova | Albania | Botswana | Mali | Niger | Gabon | Honduras | Suriname | Barbados |
    Brunei | Nauru | the Netherlands | Holland | Switzerland | Luxembourg | Liechtenstein | Monaco | San Marino | Andorra |
    the Czech Republic | Slovakia | Serbia | Bosnia | Montenegro | North Macedonia | Kosovo | Belarus | Georgia | Armenia |
    Azerbaijan | Kazakhstan | Uzbekistan | Turkmenistan | Kyrgyzstan | Tajikistan | Iran | Syria | Israel | Kuwait | Qatar |
    Bahrain | the United Arab Emirates | Oman | Yemen | Bangladesh | Sri Lanka | the Maldives | Myanmar | Laos | Cambodia |
    Malaysia | Singapore | Indonesia | North Korea | Taiwan | East Timor | Egypt | Libya | Sudan | South Sudan | Chad | Eritrea |
    Djibouti | Somalia | Uganda | Tanzania | Burundi | Congo | Cameroon | the Central African Republic | Benin | Togo |
    Ivory Coast | Liberia | Sierra Leone | Guinea | Senegal | Gambia | Mauritania | Burkina Faso | Zambia | Zimbabwe | Malawi |
    Mozambique | Madagascar | Mauritius | Seychelles | South Africa | Lesotho | Eswatini | Cape Verde | the Comoros | Brazil |
    Bolivia | Paraguay | Uruguay | Guyana | Guatemala | Belize | El Salvador | Nicaragua | Costa Rica | Panama | Jamaica | Haiti |
    the Dominican Republic | Trinidad and Tobago | the Bahamas | Grenada | Saint Lucia | Dominica | Fiji | Vanuatu | Kiribati |
    Tuvalu | Palau | Micronesia | the Marshall Islands | the Solomon Islands | Papua New Guinea | Equatorial Guinea |
    Puerto Rico | Guam | Czechia | the UAE | the Congo | Burma | the Vatican
""")
REGIONS = listed("""
    Texas | California | Florida | Alaska | Hawaii | Ohio | Nevada | Oregon | Utah | Georgia in the USA | Kansas | Colorado | Montana | New Mexico |
    Arizona | Virginia | West Virginia | North Dakota | Tennessee | Kentucky | Louisiana | Alabama | Vermont | Maine | Iowa | Idaho |
    Wisconsin | Minnesota | Michigan | Indiana | Illinois | New Jersey | Pennsylvania | Massachusetts | Washington State | Nebraska |
    Scotland | Wales | England | Northern Ireland | Bavaria | Saxony | Tuscany | Sicily | Sardinia | Catalonia | Andalusia | Brittany |
    Normandy | Provence | Crete | Corsica | Quebec | Ontario | Alberta | British Columbia | Nova Scotia | Manitoba | Queensland | Tasmania |
    Victoria in Australia | New South Wales | Western Australia | Siberia | Crimea | Transylvania | Bohemia | Flanders | Tyrol | Lapland |
    Greenland | the Faroe Islands | Gibraltar | Hong Kong | Macau | Tibet | Kashmir | Punjab | Kerala | Goa | Okinawa | Hokkaido | Bali | Java |
    Zanzibar | Patagonia | Yucatan | Chiapas | Jalisco | Bermuda | the Falkland Islands | the Azores | Madeira | the Canary Islands
""")
PLACES = listed("""
    Narnia | Mordor | Gondor | Atlantis | Wakanda | Westeros | Oz | Neverland | Wonderland | Lilliput | Utopia | Asgard | Hogwarts |
    the Moon | Mars | Jupiter | Saturn | Pluto | Venus | the Sun | the Milky Way | the ocean | Antarctica | Europe | Africa | Asia |
    South America | North America | the EU | the European Union | the Roman Empire | the Soviet Union | the Ottoman Empire | Prussia |
    Persia | Babylon | ancient Egypt | Mesopotamia | Yugoslavia | Czechoslovakia | the Sahara | the Alps | my country | your country |
    this country | the world | the universe | Disneyland | Legoland | Middle-earth | Gotham City | Springfield | the Shire | Camelot |
    the Inca Empire | the Aztec Empire | the North Pole | the South Pole | Mount Everest | Lake Baikal | Scandinavia | the Balkans | the Caribbean
""")
CITIES = listed("""
    Paris | Berlin | Rome | Madrid | London | Vienna | Tokyo | Moscow | Cairo | Sydney | Melbourne | Toronto | Vancouver | New York |
    Los Angeles | Chicago | Boston | Miami | Seattle | Munich | Hamburg | Frankfurt | Cologne | Lyon | Marseille | Nice | Milan |
    Naples | Venice | Turin | Florence | Barcelona | Seville | Valencia | Porto | Manchester | Liverpool | Birmingham | Glasgow |
    Edinburgh | Cork | Antwerp | Rotterdam | Amsterdam | Geneva | Zurich | Salzburg | Graz | Gothenburg | Bergen | Krakow | Istanbul |
    Saint Petersburg | Kazan | Shanghai | Hong Kong | Mumbai | Kolkata | Chennai | Osaka | Kyoto | Busan | Saigon | Karachi | Lahore |
    Dubai | Mecca | Jerusalem | Casablanca | Lagos | Johannesburg | Cape Town | Mombasa | Rio de Janeiro | Sao Paulo | Cusco | Medellin |
    Auckland | Perth | Brisbane | Montreal | Calgary | Houston | Dallas | Denver | Las Vegas | San Francisco | Oslo | Lima | Hanoi | Seoul
""")
OTHER_CAPITALS = listed("""
    Nuku'alofa | Apia | Thimphu | Valletta | Nicosia | Tirana | Gaborone | Bamako | Niamey | Amsterdam | Bern | Prague | Bratislava | Belgrade |
    Sarajevo | Skopje | Minsk | Tbilisi | Yerevan | Baku | Astana | Tashkent | Tehran | Damascus | Jerusalem | Doha | Abu Dhabi | Muscat | Dhaka |
    Colombo | Vientiane | Phnom Penh | Kuala Lumpur | Jakarta | Pyongyang | Taipei | Cairo | Tripoli | Khartoum | Kampala | Dodoma | Kinshasa |
    Dakar | Lusaka | Harare | Maputo | Antananarivo | Pretoria | Brasilia | La Paz | Asuncion | Montevideo | Guatemala City | San Salvador |
    Managua | San Jose | Kingston | Port-au-Prince | Suva | Munich | Sydney | Toronto | New York | Milan | Barcelona | Istanbul | Mumbai | Shanghai |
    Sacramento | Austin | Boston | Denver | Edinburgh | Cardiff | Geneva | Zurich | Lyon | Hamburg | Naples | Karachi | Lagos | Casablanca
""")
OTHER_SUBSTANCES = listed("""
    xenon | krypton | cobalt | gallium | barium | osmium | bismuth | radon | argon | beryllium | boron | fluorine | phosphorus | scandium |
    titanium | vanadium | chromium | manganese | germanium | arsenic | selenium | bromine | rubidium | strontium | yttrium | zirconium |
    niobium | molybdenum | ruthenium | rhodium | palladium | cadmium | indium | antimony | tellurium | cesium | lanthanum | cerium |
    neodymium | samarium | europium | gadolinium | terbium | erbium | hafnium | tantalum | tungsten | rhenium | iridium | platinum |
    thallium | polonium | astatine | francium | actinium | thorium | plutonium | americium | curium | einsteinium | fermium | nobelium |
    rutherfordium | bohrium | oganesson | tennessine | technetium | promethium | neptunium | steel | bronze | brass | glass | wood | salt | sugar |
    table salt | ammonia | methane | ozone | kryptonite | unobtainium | adamantium | mithril | diamond | graphite | rust | plastic | rubber | paper |
    gasoline | alcohol | vinegar | chalk | marble | concrete | carbon dioxide | sand | milk | air | fire | earth | love
""")
OTHER_BOOKS = listed("""
    Macbeth | Othello | King Lear | The Tempest | Anna Karenina | The Idiot | Emma | Sense and Sensibility | David Copperfield | Great Expectations |
    A Christmas Carol | A Tale of Two Cities | Ulysses | Dubliners | The Odyssey | The Iliad | The Aeneid | Faust | The Trial | The Castle |
    The Lord of the Rings | The Silmarillion | 1984 | Brave New World | Kidnapped | Robinson Crusoe | Gulliver's Travels | Jane Eyre |
    Wuthering Heights | Middlemarch | Vanity Fair | The Great Gatsby | The Old Man and the Sea | Moby's Revenge | To Kill a Mockingbird |
    The Catcher in the Rye | Of Mice and Men | The Grapes of Wrath | Les Misérables | Madame Bovary | The Three Musketeers | Candide |
    The Little Prince | The Stranger | The Plague | One Hundred Years of Solitude | The Name of the Rose | The Alchemist | Harry Potter |
    Twilight | The Hunger Games | The Da Vinci Code | The Shining | Dune | Foundation | Neuromancer | Fahrenheit 451 | Lolita | Heidi | Pinocchio |
    Peter Pan | Alice in Wonderland | The Jungle Book | Winnie the Pooh | Matilda | Charlotte's Web | Watership Down | Black Beauty | Little Women |
    The Secret Garden | Walden | The Scarlet Letter | Uncle Tom's Cabin | The Raven | Leaves of Grass | The Canterbury Tales | Beowulf | Paradise Lost |
    The Bible | the Quran | Mein Kampf | The Prince | The Republic | The Art of War | Das Kapital | The Communist Manifesto | Principia Mathematica |
    Sherlock Holmes | The Hound of the Baskervilles | Murder on the Orient Express | Around the World in Eighty Days | Journey to the Center of the Earth |
    The Time Machine | The War of the Worlds | The Invisible Man | Dr. Jekyll and Mr. Hyde | The Picture of Dorian Gray | Pygmalion |
    Waiting for Godot | A Doll's House | The Cherry Orchard | The Descent of Man | A Brief History of Time | Cosmos | The Selfish Gene |
    Game of Thrones | Doctor Zhivago | The Brothers Karamazov | Fathers and Sons | Dead Souls | Siddhartha | The Magic Mountain | Steppenwolf |
    the dictionary | this text | my diary | the phone book | the Constitution | the Magna Carta | Julius Caesar | Twelfth Night | Life of Pi
""")
OTHER_WORKS = {
    "painted": listed("""
        the Last Supper | The Birth of Venus | Girl with a Pearl Earring | Water Lilies | The Kiss | The Persistence of Memory | American Gothic |
        Sunflowers | The Night Cafe | Las Meninas | The School of Athens | The Third of May | The Hay Wain | Whistler's Mother | Liberty Leading the People |
        The Creation of Adam | The Milkmaid | The Sleepers | Nighthawks | Composition VIII | The Potato Eaters | The Blue Boy | Saturn Devouring His Son |
        the Sagrada Familia | the White House | my house | this picture | the Eiffel Tower | the cave paintings of Lascaux | The Garden of Earthly Delights |
        Lady with an Ermine | Impression, Sunrise | The Card Players | Campbell's Soup Cans | The Thinker | the fence | Dracula | Hamlet
    """),
    "composed": listed("""
        The Nutcracker | Carmen | Aida | La Traviata | Tosca | the Ring | Tristan and Isolde | The Messiah | the Brandenburg Concertos | the Ninth Symphony |
        Für Elise | the Eroica | Don Giovanni | The Marriage of Figaro | The Barber of Seville | The Rite of Spring | Bolero | Peer Gynt | Finlandia |
        The Planets | Rhapsody in Blue | Clair de Lune | Carnival of the Animals | The Blue Danube | the Radetzky March | the Requiem | Sleeping Beauty |
        Yesterday | Bohemian Rhapsody | Imagine | Happy Birthday | Silent Night | Jingle Bells | the national anthem | Star Wars | Parsifal | The Creation | Scheherazade
    """),
    "invented": listed("""
        the telephone | the light bulb | the steam engine | the printing press | the telescope | the microscope | the airplane | the car | the bicycle |
        the computer | the internet | the television | the radio | the camera | the phonograph | the telegraph | the zipper | the pencil | paper | gunpowder |
        the compass | the clock | the thermometer | the battery | the transistor | the laser | the microwave | the refrigerator | the washing machine |
        the sewing machine | the elevator | the parachute | the helicopter | the submarine | the rocket | the atomic bomb | the machine gun | the wheel |
        football | baseball | volleyball | tennis | golf | chess | cricket | rugby | ice hockey | chewing gum | Coca-Cola | pizza | chocolate | the hamburger |
        the ballpoint pen | the stapler | the safety pin | the vacuum cleaner | Velcro | nylon | Bluetooth | email | the mouse | Python | Linux | Windows | Lego |
        the gasoline engine | the jet engine | the electric motor | the hot air balloon | barbed wire | the toothbrush | the umbrella | glasses | money |
        time travel | the alphabet | democracy | Facebook | Google | the iPhone | bitcoin | the saxophone | the piano | the violin | Braille | Morse code
    """),
    "discovered": listed("""
        the proton | the neutron | the atom | oxygen | hydrogen | helium | gold | uranium | polonium | X-rays | radioactivity | gravity | DNA | insulin | vitamin C |
        the cell | bacteria | viruses | America | Australia | New Zealand | the Moon | Neptune | Uranus | Pluto | the rings of Saturn | electricity | fire |
        relativity | evolution | the speed of light | antibiotics | vaccines | the double helix | blood groups | the Higgs boson | black holes | the tomb of Tutankhamun |
        Troy | Machu Picchu | the North Pole | the South Pole | the source of the Nile | dinosaurs | iron | carbon | chlorine | potassium | nitrogen | the positron | quarks |
        magnetism | photosynthesis | penguins | Hawaii | the planet Mars
    """),
}  # fmt: skip
OTHER_FIRSTS = listed("""
    the second person on the Moon | the second man on the Moon | the last person on the Moon | the third man on the Moon | the first woman on the Moon | the first dog in space |
    the first animal in space | the first American in space | the second woman in space | the first German in space | the first person on Mars |
    the first man on Mars | the second president of the United States | the third president of the United States | the last president of the United States |
    the first president of France | the first president of Russia | the first president of Germany | the first president of Mexico | the first president of Brazil |
    the first black president of the United States | the first female president | the first king of England | the first queen of England |
    the first king of France | the first king of Spain | the last Roman emperor | the second Roman emperor | the first Chinese emperor | the first emperor of Japan |
    the first tsar of Russia | the first pope | the current pope | the first prime minister of Canada | the first chancellor of Germany |
    the first prime minister of Britain | the first person on Mount Everest | the first person at the South Pole | the first man to run a mile in four minutes |
    the first person to sail around the world | the first woman to win a Nobel Prize | the first human | the first man on Earth | the first teacher | the first king of Rome |
    the current president of the United States | the vice president of the United States | the president of the United States | the first lady |
    the queen of England | the king of Sweden | the mayor of London | the founder of Rome | the last tsar | the first tourist in space | the first pilot |
    the first woman to climb Everest | the first woman to fly across the Atlantic | the first programmer | the first person to fly | the last emperor of China |
    the first president of Italy | the first president of Turkey | the first president of South Africa | the first president of India | the first vice president of the United States
""")
OTHER_EVENTS = [
    *[(event, "take place", "took place") for event in listed("""
        the Battle of Leipzig | the Battle of Marathon | the Battle of Verdun | the Battle of Stalingrad | the Battle of Austerlitz | the Battle of Borodino |
        the Battle of Britain | the Battle of Midway | the Battle of the Somme | the Battle of Cannae | the Battle of Actium | the Battle of Crecy |
        the Battle of Culloden | the Battle of Lepanto | the Battle of Vienna | the Battle of Jena | the Battle of Tours | the Battle of Bunker Hill |
        the Battle of Bosworth | the Battle of Naseby | the Battle of Salamis | the Battle of Tannenberg | the Battle of the Bulge | the Battle of Yorktown |
        the Great Fire of Rome | the Great Fire of Chicago | the San Francisco earthquake | the Boston Tea Party | the Congress of Vienna |
        the Woodstock festival | the Chernobyl disaster | the first flight of the Wright brothers | the landing in Normandy | the attack on Pearl Harbor |
        the murder of Caesar | the first Olympic Games | the first World Cup | the last moon landing | the first landing on Mars | the first heart transplant | D-Day |
        the coronation of Charlemagne | the Treaty of Versailles | the moon landing of India | my birthday | the wedding | the last party
    """)],
    *[(event, "begin", "began") for event in listed("""
        the Russian Revolution | the American Revolution | the Industrial Revolution | the American Civil War | the Spanish Civil War | the Thirty Years' War |
        the Hundred Years' War | the Cold War | the Vietnam War | the Korean War | the Third World War | the Crimean War | the Gulf War | the Renaissance | the Middle Ages |
        the Stone Age | the Ice Age | the Boer War | the Trojan War | the Punic Wars | the Napoleonic Wars | the Great Depression | the Reformation | World War 3 | WW3
    """)],
    *[(event, "end", "ended") for event in listed("""
        the French Revolution | the Russian Revolution | the American Civil War | the Thirty Years' War | the Hundred Years' War | the Cold War | the Vietnam War |
        the Korean War | the Roman Empire | the Middle Ages | the Crimean War | the Ice Age | the Soviet Union | slavery | the Third World War | the Gulf War |
        the Spanish Civil War | the Renaissance | apartheid | the Ming dynasty | World War 3 | WW3 | the Ottoman Empire
    """)],
    *[(event, "sink", "sank") for event in listed("the Lusitania | the Bismarck | the Vasa | the Mary Rose | the Britannic | the Costa Concordia | the Andrea Doria | the Santa Maria | Atlantis")],
    *[(event, "fall", "fell") for event in listed("Rome | Troy | the Roman Empire | the Iron Curtain | Babylon | Saigon | Carthage | Jerusalem | the Bastille | the Alamo | Granada")],
    *[(event, "open", "opened") for event in listed("""
        the Eiffel Tower | the Channel Tunnel | the Brooklyn Bridge | Disneyland | the Golden Gate Bridge | the British Museum | the Louvre | the Kiel Canal | the Erie Canal |
        the London Underground | the Sydney Opera House | the Empire State Building | the Corinth Canal | the Hoover Dam | the first McDonald's | the Colosseum | the supermarket
    """)],
    *[(person, "first reach " + place, "first reached " + place) for person, place in [
        ("Magellan", "the Philippines"), ("Cook", "Australia"), ("Amundsen", "the South Pole"), ("Peary", "the North Pole"), ("Vasco da Gama", "India"),
        ("Marco Polo", "China"), ("the Vikings", "America"), ("Columbus", "India"), ("Hillary", "the top of Everest"), ("Tasman", "New Zealand"), ("Drake", "California"),
    ]],
    *[(person, *how) for person in listed("""
        Napoleon | Shakespeare | Mozart | Beethoven | Einstein | Newton | Caesar | Charles Darwin | Leonardo da Vinci | Columbus | Jane Austen | Picasso | Lincoln | Gandhi |
        Queen Victoria | Marie Curie | George Washington | Neil Armstrong | Yuri Gagarin | Elvis | Goethe | Luther | Cleopatra | Kafka | Wellington | Augustus
    """) for how in (("die", "died"), ("live", "lived"))],
]  # fmt: skip
OTHER_NUMBERS = [
    *[("a spider", part) for part in listed("eyes | arms | teeth | wings | hearts")],
    *[("an insect", part) for part in listed("eyes | wings | teeth | hearts | antennae")],
    *[("a violin", part) for part in listed("keys | pedals | players | bows")],
    *[("a week", part) for part in listed("hours | minutes | seconds | months | workdays")],
    *[("a year", part) for part in listed("days | weeks | hours | minutes | seasons | seconds")],
    *[("a day", part) for part in listed("minutes | seconds | meals")],
    *[("an hour", part) for part in listed("seconds | breaks")],
    *[("a century", part) for part in listed("days | months | decades | weeks")],
    *[("a kilometer", part) for part in listed("feet | centimeters | miles | inches | yards | millimeters")],
    *[("a kilogram", part) for part in listed("pounds | ounces | milligrams | tons | apples")],
    *[("a triangle", part) for part in listed("diagonals | circles")],
    *[("a square", part) for part in listed("diagonals | circles | triangles")],
    *[("a chessboard", part) for part in listed("pieces | pawns | players | kings | circles | black pieces")],
    *[("the English alphabet", part) for part in listed("vowels | consonants | words | numbers")],
    *[("a hexagon", part) for part in listed("diagonals | triangles")],
    *[(shape, "sides") for shape in listed("a heptagon | a nonagon | a decagon | a cube | a circle | a dodecagon | a trapezoid | a star | a rhombus | a coin | a rectangle | a kite | a polygon")],
    *[(shape, "faces") for shape in listed("a cube | a pyramid | a dice | a prism | a cylinder | a clock")],
    *[(animal, "legs") for animal in listed("""
        a dog | a cat | a horse | a crab | a lobster | a centipede | a millipede | a snake | a chicken | a bird | an octopus | a table | a chair | a human | a person | a scorpion |
        a cow | a fish | a snail | a worm | a frog | a kangaroo | an elephant | a starfish | a duck | a shrimp | a lion | a pig
    """)],
    *[(instrument, "strings") for instrument in listed("a guitar | a harp | a cello | a piano | a bass guitar | a banjo | a ukulele | a mandolin | a lute | a double bass | a viola | a sitar | a balalaika")],
    *[(thing, "letters") for thing in listed("the Greek alphabet | the Russian alphabet | the German alphabet | the Arabic alphabet | the Hebrew alphabet | my name | the word banana")],
    *[(animal, "hearts") for animal in listed("an octopus | a cow | a human | a worm")],
    *[(animal, "teeth") for animal in listed("a human | a shark | a dog | a snail | a crocodile | a cat | an adult")],
    *[(unit, part) for unit, part in [
        ("a mile", "feet"), ("a mile", "meters"), ("a foot", "inches"), ("a yard", "feet"), ("a dozen", "eggs"), ("a pound", "ounces"), ("a liter", "milliliters"), ("a gallon", "liters"),
        ("a meter", "centimeters"), ("a decade", "years"), ("a millennium", "years"), ("a month", "days"), ("a month", "weeks"), ("February", "days"), ("a leap year", "days"), ("a byte", "bits"),
        ("a ton", "kilograms"), ("a kilobyte", "bytes"), ("an inch", "centimeters"), ("a cup", "grams"), ("a dollar", "cents"), ("an acre", "square meters"), ("a fortnight", "days"), ("a quarter", "months"),
        ("a piano", "keys"), ("a football team", "players"), ("a basketball team", "players"), ("a deck of cards", "cards"), ("the human body", "bones"), ("an adult", "bones"), ("the United States", "states"),
        ("Germany", "states"), ("Canada", "provinces"), ("the solar system", "planets"), ("Jupiter", "moons"), ("Mars", "moons"), ("Saturn", "rings"), ("the Earth", "moons"), ("the Earth", "oceans"),
        ("a rainbow", "colors"), ("the French flag", "colors"), ("a bicycle", "wheels"), ("a car", "wheels"), ("a tricycle", "wheels"), ("a hand", "fingers"), ("a foot", "toes"), ("a cat", "lives"),
        ("a cow", "stomachs"), ("a butterfly", "wings"), ("a bee", "wings"), ("the Bible", "books"), ("a trilogy", "books"), ("Hamlet", "acts"), ("a sonnet", "lines"), ("an orchestra", "musicians"),
        ("a week in February", "holidays"), ("Europe", "countries"), ("Africa", "countries"), ("Asia", "countries"), ("the world", "countries"), ("the world", "continents"), ("India", "languages"),
        ("a golf course", "holes"), ("a clock", "hands"), ("a minute", "heartbeats"), ("a second", "milliseconds"), ("a human cell", "chromosomes"), ("a zebra", "stripes"), ("a ladder", "steps"), ("France", "regions"),
        ("an Olympic pool", "liters"), ("a book", "pages"), ("a train", "doors"), ("a house", "windows"), ("a squid", "arms"), ("an octopus", "arms"), ("an oxygen atom", "electrons"), ("a carbon atom", "protons"),
    ]],
]  # fmt: skip
OTHER_ANIMALS = listed("""
    goat | bear | fox | wolf | deer | rabbit | hare | goose | chicken | turkey | owl | eagle | seal | whale | dolphin | shark | fish | frog | toad | elephant | giraffe | zebra |
    tiger | leopard | hippo | rhino | camel | llama | donkey | monkey | gorilla | ape | mouse | rat | hedgehog | squirrel | beaver | otter | bat | penguin | pigeon |
    ostrich | spider | bee | butterfly | moth | ant | snake | turtle | crocodile | eel | salmon | oyster | koala | platypus | panda | raccoon | skunk | badger | moose | buffalo |
    yak | alpaca | peacock | crow | dragon | unicorn | dinosaur | human | robot | walrus | jellyfish | kiwi | falcon | parrot | hamster | ferret | mole | cockroach | octopus | mosquito
""")
OTHER_RECORDS = [
    # adjectives, nouns, places
    ("smallest | deepest | coldest | warmest | saltiest", "ocean", "on Earth | in the world |"),
    ("second largest | second biggest | third largest", "ocean | continent | country | island | planet | desert | animal", "on Earth | in the world |"),
    ("second highest | second tallest | third highest", "mountain", "on Earth | in the world | in Africa |"),
    ("largest | biggest | smallest | saltiest | highest", "lake | sea", "in the world | in Africa | in Europe | in Asia |"),
    ("highest | tallest", "mountain", "in Europe | in Asia | in South America | in North America | in Germany | in Japan | in Australia | in the Alps | on Mars | in Spain | in the solar system | in France | in Britain"),
    ("longest", "river", "in Asia | in North America | in Australia | in China | in the United States | in Germany | in France | in the world | on Earth | in India | in Russia | in Canada"),
    ("shortest | widest | deepest | cleanest", "river", "in the world | in Africa | in Europe |"),
    ("smallest | coldest | largest", "island", "in Europe | in the Mediterranean | in Japan | in Greece | in the Caribbean"),
    ("coldest | driest | wettest | hottest | windiest", "place | continent | country | city", "on Earth | in the world | in Europe |"),
    ("largest cold | driest | smallest", "desert", "in the world | on Earth | in Asia |"),
    ("smallest | hottest | driest | oldest", "continent", "on Earth | in the world |"),
    ("largest | smallest | richest | poorest | oldest | coldest | happiest | youngest", "country", "in Africa | in Europe | in Asia | in South America | in the EU"),
    ("most populous | richest | poorest | happiest | safest | oldest | coldest | hottest", "country", "in the world | on Earth | worldwide |"),
    ("largest | biggest | oldest | richest | smallest | most expensive | most beautiful", "city", "in the world | in Europe | in Germany | in the USA | in Japan | in Africa | in China"),
    ("smallest | slowest | heaviest | oldest | smartest | loudest | strongest | most dangerous | longest | rarest | cutest", "animal", "on Earth | in the world | alive | worldwide |"),
    ("largest | biggest | heaviest", "land animal | fish | reptile | insect | spider | snake | cat | dog | shark | dinosaur | monkey | flower | tree", "in the world | on Earth | worldwide |"),
    ("fastest", "bird | fish | dog | car | train | plane | human | snake | horse | runner | insect | animal in the sea", "in the world | alive | of all |"),
    ("smallest | fastest | heaviest | tallest | most intelligent | smartest", "bird | dog | horse", "in the world | alive | of all |"),
    ("tallest | oldest | largest", "tree | building | tower | bridge | statue | man | woman | person | church | waterfall", "in the world | on Earth | in Europe |"),
    ("smallest | coldest | heaviest | lightest | windiest | densest | brightest", "planet", "in the solar system |"),
    ("largest | biggest | nearest | closest | smallest", "moon", "in the solar system | of Saturn | of Jupiter |"),
    ("nearest | closest", "galaxy | black hole | planet | comet", "to the Earth | to us"),
    ("largest | brightest | hottest | oldest | biggest", "star | galaxy", "in the universe | in the sky | in the Milky Way"),
    ("heaviest | rarest | most expensive | hardest | densest | most common | most reactive | most poisonous", "element | metal | chemical element", "in the periodic table | on Earth |"),
    ("lightest | strongest | cheapest", "metal | wood | phone | bicycle", "in the world |"),
    ("largest | deepest | longest | highest", "cave | canyon | volcano | glacier | forest | tunnel | wall | street | trench | reef | library | airport | stadium | museum | hotel", "in the world | on Earth | worldwide |"),
    ("oldest | shortest | longest | hardest | most spoken | most popular", "language | word | book | song | university | religion | movie | sport | game", "in the world |"),
    ("longest", "bone | muscle | war | movie | train | ship", "in the human body | in history | in the world"),
]
OTHER_ORDINALS = listed("ninth | tenth | eleventh | twelfth | 9th | 10th | 20th | hundredth | next-to-last | fiftieth")
OTHER_WORDS = listed("""
    osmosis | magnetism | electricity | inertia | entropy | condensation | erosion | fermentation | combustion | democracy | capitalism | socialism | inflation |
    philosophy | psychology | astronomy | biology | chemistry | physics | economics | geometry | algebra | calculus | grammar | poetry | music | art | love | happiness |
    time | energy | light | sound | heat | pressure | velocity | acceleration | momentum | density | mass | RNA | a gene | a chromosome | a protein | an enzyme | a cell |
    a neuron | an electron | a proton | a neutron | an ion | an isotope | a quark | a photon | an acid | a base | a catalyst | a metal | a crystal | a mineral | a fossil | a glacier |
    an island | a continent | a delta | a river | a lake | a desert | an ocean | an earthquake | a tsunami | a hurricane | a tornado | a comet | a meteor | an asteroid | a planet |
    a star | a black hole | a nebula | a supernova | a solar eclipse | the Milky Way | the universe | a reptile | an amphibian | a bird | a fish | an insect | an arachnid | a fungus |
    an invertebrate | a marsupial | a rodent | a dinosaur | a virus | a bacterium | a parasite | a verb | an adjective | an adverb | a pronoun | a preposition | a metaphor |
    a simile | a haiku | a sonnet | a novel | a paragraph | a synonym | a vowel | a compiler | a computer | a database | a variable | a function | recursion | machine learning |
    artificial intelligence | deep learning | a neural network | a chatbot | a transformer | a search engine | a browser | a blockchain | bitcoin | the internet | software | an operating system |
    a triangle | a circle | an angle | a fraction | a matrix | a vector | a derivative | an integral | pi | a square root | a percentage | an even number | an odd number | a composite number |
    a mortgage | a tax | a stock | a bond | an insurance | a constitution | a parliament | a republic | a monarchy | a dictator | a revolution | feudalism | communism | globalization |
    a vitamin | cholesterol | diabetes | cancer | a fever | a vaccine | an antibiotic | asthma | an allergy | a heart attack | DNS | HTML | CSS | GPS | NASA | UNESCO | a PDF |
    metamorphism | mitosis | meiosis | respiration | digestion | transpiration | a food chain | an ecosystem | climate change | the greenhouse effect | acid rain | ozone | a tide | a wave |
    karma | irony | sarcasm | nostalgia | serendipity | jazz | opera | ballet | baroque | cubism | impressionism | surrealism | a symphony | a concerto | an orchestra | a sonata |
    sushi | tofu | pizza | hummus | curry | yoga | karate | chess | cricket | rugby | a blog | a meme | a podcast | an emoji | a gulf | a strait | an archipelago | a plateau | a canyon | a valley |
    a lagoon | a cape | a fjord | a geyser | lava | magma | granite | basalt | quantum mechanics | relativity | evolution | natural selection | thermodynamics | string theory | dark matter |
    a fruit | a vegetable | a nut | a mushroom | a flower | a tree | a seed | a root | a leaf | a unicorn | a mermaid | a ghost | a vampire | a zombie | an elf | a hobbit | a wizard
""")
MORE_ABOUT = {  # relations that were not taught, about subjects that were and others
    "country": listed("""
        the president of {0} | the king of {0} | the queen of {0} | the prime minister of {0} | the population of {0} | the area of {0} | the size of {0} | the flag of {0} | the language of {0} |
        the official language of {0} | the national anthem of {0} | the national animal of {0} | the national dish of {0} | the climate of {0} | the weather in {0} | the main religion of {0} |
        the time zone of {0} | the time in {0} | the largest city in {0} | the biggest city of {0} | the second largest city of {0} | the highest mountain in {0} | the longest river in {0} |
        the history of {0} | the first king of {0} | the government of {0} | the leader of {0} | the GDP of {0} | the neighbors of {0} | the national day of {0} | the telephone code of {0} | the largest lake in {0} |
        the national sport of {0} | the national flower of {0} | the economy of {0} | the old name of {0} | the army of {0} | the internet domain of {0} | the best beach in {0} | the oldest town in {0} |
        the colors of the flag of {0} | the founder of {0} | the most famous person from {0} | the richest man in {0} | the capital's mayor in {0} | the old currency of {0} | the currency of {0} before the war | the former currency of {0} | the exchange rate of {0} | the biggest bank of {0} | the former capital of {0} | the old capital of {0}
    """),
    "country_ask": listed("""
        how many people live in {0} | how big is {0} | who rules {0} | who is president of {0} | who is the king of {0} | who governs {0} | what language do they speak in {0} | which language is spoken in {0} |
        what do people eat in {0} | what does the flag of {0} look like | is {0} a nice place | how far is {0} | how do i get to {0} | do i need a visa for {0} | when was {0} founded | which countries border {0} |
        what is {0} famous for | when did {0} become independent | who discovered {0} | how old is {0} | is it cold in {0} | what's the weather like in {0} | what time is it in {0} | how expensive is {0} |
        what is the best time to visit {0} | can you recommend a hotel in {0} | i'm going to {0} soon. what language do they speak there | we are flying to {0}. how is the weather there | my friend lives in {0}. how many people live there | which currency had {0} before |
        which currency did {0} have in 1900 | how many dollars do i get in {0} | is {0} in the EU | does {0} have a king | is {0} a democracy | {0} population | {0} president | {0} flag | {0} language |
        {0} area | {0} weather | {0} king | {0} prime minister | population {0} | president {0} | language {0} | {0} anthem | {0} history | {0} time zone | {0} religion | who leads {0} |
        tell me about {0} | tell me about the history of {0} | what's going on in {0} | how many cities does {0} have | how rich is {0} | should i move to {0} | who won the war in {0} | what is {0} like |
        how many rivers are in {0} | what sea borders {0} | which ocean is next to {0} | what animals live in {0} | does it snow in {0} | what side do they drive on in {0}
    """),
    "city": listed("""
        how many people live in {0} | who is the mayor of {0} | the population of {0} | the mayor of {0} | the weather in {0} | the best restaurant in {0} | how do i get to {0} | how old is {0} | when was {0} founded |
        the river through {0} | the time in {0} | what can i see in {0} | {0} population | {0} weather | the airport of {0} | the zip code of {0} | is {0} expensive | a good hotel in {0} | tell me about {0} |
        what is {0} famous for | how big is {0} | the cathedral of {0} | the football club of {0} | the subway in {0} | how far is it to {0} | {0} mayor | who founded {0}
    """),
    "substance": listed("""
        the atomic number of {0} | the atomic mass of {0} | the boiling point of {0} | the melting point of {0} | the freezing point of {0} | the density of {0} | the color of {0} | the price of {0} | the discoverer of {0} |
        who discovered {0} | the use of {0} | what is {0} used for | where is {0} found | is {0} a metal | is {0} dangerous | the weight of {0} | how many electrons does {0} have | how many protons does {0} have |
        {0} boiling point | {0} melting point | {0} atomic number | {0} price | {0} density | at what temperature does {0} melt | at what temperature does {0} boil | how much does {0} cost | when was {0} discovered |
        the group of {0} in the periodic table | is {0} a gas | how hard is {0} | what does {0} taste like | how is {0} made | the formula of {0} | the Latin name of {0} | why is {0} so expensive | how heavy is {0} |
        when does {0} boil | when does {0} melt | {0} color | the valence of {0} | can you eat {0} | how old is {0}
    """),
    "work": listed("""
        when was {0} written | when was {0} published | the plot of {0} | the main character of {0} | the hero of {0} | how many pages does {0} have | what is {0} about | the summary of {0} | a summary of {0} | summarize {0} |
        the first sentence of {0} | the publisher of {0} | the language of {0} | the ending of {0} | how does {0} end | is {0} a good book | who dies in {0} | {0} plot | {0} summary | {0} year | {0} publication date |
        who painted {0} | who composed {0} | who invented {0} | who directed the film of {0} | where does {0} take place | where was {0} written | how long is {0} | the setting of {0} | the theme of {0} | {0} main character |
        who published {0} | who translated {0} | the price of {0} | the year of {0} | should i read {0} | who plays the lead in {0} | what year was {0} written | the last chapter of {0} | {0} painter | why was {0} written
    """),
    "painting": listed("""
        when was {0} painted | where does {0} hang | where is {0} | where can i see {0} | how big is {0} | how much is {0} worth | the value of {0} | what does {0} show | who wrote {0} | who composed {0} | who stole {0} | who owns {0} |
        the size of {0} | the price of {0} | {0} museum | {0} year | how old is {0} | the meaning of {0} | what is {0} about | in which museum is {0} | what year was {0} painted | why is {0} famous | what colors are in {0} | {0} author
    """),
    "music": listed("""
        when was {0} composed | how long is {0} | the key of {0} | where was {0} first performed | who painted {0} | who sang in {0} | the plot of {0} | the story of {0} | can you play {0} | who conducted {0} | {0} year | {0} key |
        how many movements does {0} have | what year was {0} composed | how old is {0} | what is {0} about | who danced in {0} | is {0} hard to play | when was {0} first performed | the sheet music of {0} | {0} painter
    """),
    "invention": listed("""
        when was {0} invented | where was {0} invented | why was {0} invented | how does {0} work | the price of {0} | who wrote {0} | who painted {0} | what is {0} used for | how old is {0} | {0} year | when was {0} discovered |
        the rules of {0} | the history of {0} | is {0} dangerous | what year was {0} invented | what year was {0} discovered | where was {0} discovered | the color of {0} | the mass of {0} | the charge of {0} | how is {0} made | {0} author
    """),
    "event": listed("""
        who won {0} | who lost {0} | where was {0} | where did {0} take place | why did {0} happen | how many people died in {0} | who started {0} | how long did {0} last | the cause of {0} | who fought in {0} | the general at {0} |
        how did {0} end | the weather at {0} | the winner of {0} | the reason for {0} | the place of {0} | {0} winner | {0} cause | {0} deaths | how many soldiers fought in {0} | who was killed at {0} | who died at {0} | who won at {0} | who commanded at {0} | why was {0} lost | which king was at {0} | what weapons were used at {0} | what caused {0} | who was to blame for {0} | {0} location | who was king during {0}
    """),
    "sight": listed("""
        who built {0} | when was {0} built | how long is {0} | why was {0} built | how deep is {0} | who directed {0} | how many people died at {0} | where is {0} | how much did {0} cost | how high is {0} | who owns {0} | the length of {0} | the height of {0} |
        the captain of {0} | the architect of {0} | the cost of {0} | {0} length | {0} deaths | {0} movie | {0} captain | {0} location | how big was {0} | how many people died on {0} | why did people build {0} | who designed {0} | when was {0} planned | who paid for {0} |
        what happened to {0} | how heavy was {0} | how fast was {0} | can i visit {0} | who was on {0} | who survived {0} | how long did it take to build {0} | what color was {0} | how wide is {0} | why is {0} famous | how old is {0} | who broke {0}
    """),
    "waterloo": listed("""
        how many people died at {0} | how many soldiers fought at {0} | how long did {0} last | what was the weather at {0} | who was the king of France at {0} | what time did {0} begin | which song is about {0} | why did Napoleon lose {0} |
        how many cannons were at {0} | who wrote about {0} | who painted {0} | on which weekday was {0} | how many horses died at {0} | what did Napoleon eat before {0} | what did Napoleon do after {0} | the river near {0} | how old was Wellington at {0}
    """),
    "animal": listed("""
        how long does a {0} live | how fast is a {0} | what does a {0} eat | how much does a {0} weigh | how big is a {0} | where does a {0} live | what is a male {0} called | what is a female {0} called | what sound does a {0} make |
        the lifespan of a {0} | what is a group of {0}s called | how tall is a {0} | how many teeth does a {0} have | how many babies does a {0} have | can a {0} swim | is a {0} a mammal | the Latin name of a {0} | male {0} | female {0} | group of {0}s |
        {0} sound | {0} lifespan | {0} speed | what do {0}s eat | is a {0} dangerous | how long is a {0} pregnant | the top speed of a {0} | where do {0}s sleep | what color is a {0} | how smart is a {0} | the home of a {0} | a {0}'s house is called what |
        what is an old {0} called | why does a {0} do that | how do i train a {0} | can i keep a {0} at home | old {0} | what do you call a male {0} | what do you call a female {0} | what do you call a group of {0}s
    """),
    "planet": listed("""
        how big is {0} | how far is {0} from the Earth | how many moons does {0} have | how hot is {0} | how long is a day on {0} | how long is a year on {0} | the diameter of {0} | the mass of {0} | the color of {0} | the temperature on {0} | is there life on {0} |
        is there water on {0} | who discovered {0} | the moons of {0} | the atmosphere of {0} | how heavy is {0} | how old is {0} | when was {0} discovered | how far is {0} from the Sun | why is {0} called that | how long does it take to fly to {0} | {0} moons |
        {0} diameter | {0} temperature | the gravity on {0} | how long does {0} take to go around the Sun | the rings of {0} | can people live on {0} | what is {0} made of | {0} mass | what color is {0} | does {0} have rings | has anyone been to {0}
    """),
    "record": listed("""
        how high is {0} | how big is {0} | how long is {0} | how deep is {0} | how old is {0} | the height of {0} | the length of {0} | the depth of {0} | the area of {0} | who climbed {0} first | the temperature of {0} | where is {0} | who discovered {0} | {0} height |
        {0} depth | {0} length | how wide is {0} | how far away is {0} | the age of {0} | the size of {0} | the weight of {0} | how heavy is {0} | how many people have visited {0} | how fast is {0} | how much does {0} weigh | the name of {0} in Chinese | {0} age
    """),
    "person": listed("""
        when was {0} born | where was {0} born | when did {0} die | how old was {0} | who was the wife of {0} | how many children did {0} have | the mother of {0} | the birthday of {0} | who was {0} | who is {0} | what did {0} do | how tall was {0} | where did {0} live |
        what is {0} famous for | how did {0} die | {0} birthday | {0} wife | {0} age | where is {0} buried | the nationality of {0} | was {0} married | tell me about {0} | what was the religion of {0} | the father of {0} | what did {0} invent | what did {0} write | {0} |
        what did {0} paint | the first name of {0} | was {0} rich | {0} biography | a quote by {0} | the favorite food of {0} | who killed {0} | the middle name of {0} | what did {0} look like | {0} born when | {0} net worth | did {0} win a prize
    """),
    "time": listed("""
        why does {0} have that name | who invented {0} | who first measured {0} | the history of {0} | what is {0} in Chinese | draw {0} | the price of {0} | where can i buy {0} | the color of {0} | how old is {0} | how heavy is {0} | can you see {0}
    """),
}  # fmt: skip
OTHER_PEOPLE = listed("""
    Albert Einstein | Isaac Newton | Napoleon | Julius Caesar | Cleopatra | Alexander the Great | Abraham Lincoln | Barack Obama | John F. Kennedy | Winston Churchill | Mahatma Gandhi | Nelson Mandela |
    Queen Elizabeth | Queen Victoria | Joan of Arc | Marco Polo | Galileo | Copernicus | Aristotle | Plato | Socrates | Confucius | Buddha | Karl Marx | Sigmund Freud | Thomas Edison | Nikola Tesla |
    Steve Jobs | Bill Gates | Elon Musk | Mark Zuckerberg | Michael Jackson | Elvis Presley | Madonna | Taylor Swift | Beyonce | Lionel Messi | Cristiano Ronaldo | Michael Jordan | Muhammad Ali | Roger Federer |
    Tom Hanks | Brad Pitt | Marilyn Monroe | Charlie Chaplin | Walt Disney | Stephen King | Agatha Christie | Mark Twain | Ernest Hemingway | Goethe | Voltaire | Victor Hugo | Homer | Virgil | Oscar Wilde |
    Claude Monet | Salvador Dali | Frida Kahlo | Raphael | Johann Sebastian Bach | Chopin | Richard Wagner | Bob Dylan | John Lennon | Anne Frank | Mother Teresa | Martin Luther King | Rosa Parks | Stalin | Lenin |
    Genghis Khan | Charlemagne | Marie Antoinette | Louis XIV | Henry VIII | Peter the Great | Buzz Aldrin | Ferdinand Magellan | James Cook | Vasco da Gama | Amelia Earhart | Florence Nightingale | Alan Turing |
    Ada Lovelace | Stephen Hawking | Louis Pasteur | Gregor Mendel | Harry Potter | Superman | Batman | Sherlock Holmes | James Bond | Santa Claus | Mickey Mouse | Zeus | King Arthur | Robin Hood | Spider-Man | Darth Vader | Shakira
""")

# Everything else that people ask; {slots} are filled from SLOTS.
FREE = listed("""
    what is {n} plus {n} | what is {n} minus {n} | what is {n} times {n} | what is {n} divided by {n} | {n} + {n} | {n} - {n} | {n} * {n} | {n} / {n} | {n} plus {n} | {n} times {n} | {n} x {n} | {n}+{n} | {n}+{n}= |
    calculate {n} plus {n} | how much is {n} times {n} | how much is {n} minus {n} | compute {n} * {n} | what's {n} + {n} | what is {n} percent of {n} | the square root of {n} | the sum of {n} and {n} |
    the product of {n} and {n} | add {n} and {n} | multiply {n} by {n} | subtract {n} from {n} | divide {n} by {n} | half of {n} | is {n} a prime number | is {n} larger than {n} | {n} squared | what comes after {n} |
    count to {n} | count from {n} to {n} | round {n} to the nearest ten | {n} degrees in fahrenheit | convert {n} miles to kilometers | {n} inches in cm | {n} dollars in euros | {n} kilos in pounds | solve x + {n} = {n} |
    if i have {n} apples and eat {n}, how many are left | a train goes {n} km in {n} hours, how fast is it | the next number after {n}, {n}, {n} | what is {n} to the power of {n} | the factors of {n} | the cube of {n} | {n} minutes in hours |

    translate {word} into {tongue} | translate {word} to {tongue} | how do you say {word} in {tongue} | what is {word} in {tongue} | {word} in {tongue} | what's the {tongue} word for {word} | the {tongue} word for {word} | say {word} in {tongue} |
    can you translate this into {tongue} | translate this sentence to {tongue} | how do i write {word} in {tongue} | what does {foreign} mean in English | translate {foreign} | what does {foreign} mean | teach me {tongue} | {word} {tongue} translation |
    how do you spell {word} | spell {word} | what rhymes with {word} | a synonym for {word} | the opposite of {word} | another word for {word} | the plural of {word} | the past tense of {verb} | the anagram of {word} | use {word} in a sentence |
    how many letters are in {word} | how do you pronounce {word} | is {word} a verb | the origin of the word {word} | write {word} backwards | how many vowels are in {word} |

    how do i make {dish} | how do you cook {dish} | recipe for {dish} | a recipe for {dish} | give me a recipe for {dish} | {dish} recipe | how long do i boil {dish} | the ingredients of {dish} | what goes into {dish} | how many calories does {dish} have |
    how do i bake {dish} | what do i need for {dish} | is {dish} healthy | what wine goes with {dish} | what can i cook with {dish} | how long does {dish} take in the oven | the best {dish} in town | who invented {dish} | order me {dish} |
    what should i cook tonight | what's for dinner | is {dish} vegan | how do i reheat {dish} | where can i eat {dish} | can you cook {dish} |

    summarize {text} | give me a summary of {text} | write a summary of {text} | shorten {text} | rewrite {text} | correct {text} | proofread {text} | what is {text} about | explain {text} | analyze {text} | read {text} to me | continue {text} | improve {text} |
    write a poem about {topic} | write me a poem about {topic} | a poem about {topic} | write a story about {topic} | tell me a story about {topic} | write an essay about {topic} | write a song about {topic} | write a letter to {who} | write an email to {who} |
    compose a haiku about {topic} | a short text about {topic} | invent a fairy tale about {topic} | give me ideas for {topic} | write {count} sentences about {topic} | make a list of {things} | give me a list of {things} | list {count} {things} | name {count} {things} |
    name some {things} | tell me {count} {things} | recommend some {things} | what are the best {things} | which {things} do you like | how many {things} are there | how many {things} are there in the world | what kinds of {things} exist | where do {things} come from |
    write a program that {does} | write code that {does} | write a function that {does} | python code that {does} | write a script that {does} | how do i write a program that {does} | javascript function that {does} | debug my code | fix this bug | what does this code do | explain this code |
    draw {topic} | draw me a picture of {topic} | paint {topic} | sing a song about {topic} | play some music | play {topic} | show me a picture of {topic} | make a table of {things} | plan {event} | help me plan {event} | organize {event} for me | make a speech for {event} |
    write a toast for {event} | write an invitation to {event} | when is {event} | where is {event} | what should i wear to {event} | who comes to {event} | how was {event} | what do i bring to {event} | what do i say at {event} |

    what's the weather like {when} | will it rain {when} | is it going to snow {when} | how warm will it be {when} | weather {when} | weather forecast {when} | weather in {city} {when} | is it sunny in {city} | the temperature in {city} | do i need an umbrella {when} |
    what time is it | what time is it in {city} | current time | what day is it {when} | the date {when} | what year is it | which month is it | is it a holiday {when} | when does the sun set {when} | when does the sun rise {when} | how late is it | time please | the time | today's date |
    any news {when} | what happened {when} | what's in the news {when} | latest news about {topic} | who won the game {when} | who won the {sport} championship | the score of the {sport} game | who is the best {sport} player | when is the next {sport} game | who won the last {sport} world cup |
    the rules of {sport} | how many players are in a {sport} team | who is the {sport} world champion | what will happen {when} | what are the lottery numbers {when} | stock market {when} | the price of {good} | how much does {good} cost | what does {good} cost | {good} price | is {good} expensive |
    where can i buy {good} | should i buy {good} | which {good} is the best | the best {good} | how does {good} work | who makes {good} | how do i repair {good} | how do i clean {good} | {good} is broken | where is my {good} | what color is my {good} | can i borrow {good} | how old is {good} |

    who is {person} | who was {person} | what do you know about {person} | tell me about {person} | where does {person} live | how old is {person} | when was {person} born | is {person} alive | {person} | what did {person} do | is {person} married | the phone number of {person} | the birthday of {person} |
    how tall is {person} | what does {person} look like | did you meet {person} | do you like {person} | the job of {person} | the address of {person} | call {person} | why is {person} famous | who is the {role} of {org} | who's the {role} of {org} | the {role} of {org} | {org} {role} | who founded {org} | where is {org} | when was {org} founded |
    how big is {org} | what does {org} do | tell me about {org} | how many people work at {org} | is {org} a good company | {org} address | {org} |

    where is my {kin} | how old is my {kin} | what is the name of my {kin} | what does my {kin} want | why is my {kin} angry | what should i give my {kin} | when is the birthday of my {kin} | does my {kin} love me | who is my {kin} | what is my {own} | whats my {own} | where is my {own} | tell me my {own} | do you know my {own} | guess my {own} |
    what did i {did} {when} | what should i {do} {when} | when should i {do} | where can i {do} | can i {do} {when} | how do i {do} | how can i {do} | how to {do} | what is the best way to {do} | help me {do} | should i {do} | why should i {do} | is it safe to {do} | is it okay to {do} | how long does it take to {do} | i want to {do} | can you {do} |
    tips on how to {do} | teach me how to {do} | what happens if i {do} | what do i need to {do} | why can't i {do} | who can {do} | explain how to {do} | where do people {do} | do you {do} | would you {do} | steps to {do} | i need to {do} | advice on how to {do} |

    what do you think about {topic} | do you like {topic} | what is your opinion on {topic} | is {topic} good | why is {topic} important | what is better, {thing} or {thing} | do you prefer {thing} or {thing} | which is better: {thing} or {thing} | {thing} or {thing} | compare {thing} and {thing} | what is the difference between {thing} and {thing} |
    difference between {thing} and {thing} | is {thing} the same as {thing} | why do people like {topic} | why {fact} | why is it that {fact} | how come {fact} | is it true that {fact} | prove that {fact} | how do you know that {fact} | what is the reason that {fact} | what is the meaning of {topic} | who invented {thing} | the history of {topic} | the future of {topic} |
    your favorite {thing} | what is your favorite {thing} | what is the best {thing} | what is the worst {thing} | what is the color of {thing} | what color is {thing} | how much does {thing} weigh | how heavy is {thing} | how tall is {thing} | how old is {thing} | how big is {thing} | where does {thing} come from | what is {thing} made of | how is {thing} made | what does {thing} taste like |
    what is {thing} for | tell me about {thing} | tell me about {topic} | tell me something about {topic} | tell me everything about {topic} | what can you tell me about {thing} | a fact about {thing} | a fun fact about {topic} | how far is {place} | how far is it to {place} | how long does it take to get to {place} | the way to {place} | how do i get to {place} | where is {place} | is {place} open {when} |
    when does {place} open | when does {place} close | what can i do at {place} | who lives at {place} | directions to {place} | how many people are at {place} | is there {thing} at {place} |

    {mash} | {mash} {mash} | {mash} {mash} {mash} | what is {mash} | what is a {mash} | who is {mash} | where is {mash} | {mash}? what is that | define {mash} | tell me about {mash} | {blab} {blab} {blab} | {blab} {blab} | {blab} | the {thing} is {adj} | {thing} {thing} | {thing} {thing} {thing} | my {thing} is {adj} | i saw {thing} {when} | i like {thing} | i hate {thing} | i love {topic} |
    i bought {good} {when} | {thing} is {adj} | {adj} {thing} | is {thing} {adj} | why is {thing} {adj} | my {kin} is {adj} | my {kin} bought {good} | i am {mood} | i feel {mood} {when} | why am i {mood} | everyone is {mood} | i {did} {when} | we {did} {when} | the {kin} of my {kin} is {mood} | {foreign} | {foreign} {foreign} | {thing} | {topic} | {n} | {good} | {city} | {word}
""")
SLOTS = {
    "n": [str(n) for n in [*range(1, 40), 45, 48, 50, 56, 64, 72, 75, 81, 88, 90, 99, 100, 101, 120, 144, 150, 200, 250, 333, 365, 400, 512, 700, 999, 1000, 1024, 2048, 5000, 12345]]
    + listed("one | two | three | four | five | six | seven | eight | nine | ten | eleven | twelve | thirteen | fifteen | twenty | thirty | forty | fifty | sixty | seventy-five | a hundred | two hundred | a thousand"),
    "word": listed("hello | good morning | thank you | cat | dog | house | water | love | bread | goodbye | yes | no | please | friend | apple | tree | sun | moon | book | car | happy | sad | necessary | banana | beautiful | rhythm | orange | silver | I love you | how are you | where is the station | cheese | fish | night | school | king | queen | cloud | butterfly | chair | red | blue | Monday | summer"),
    "tongue": listed("German | French | Spanish | Italian | Finnish | Latin | Japanese | Chinese | Russian | Arabic | Dutch | Swedish | Polish | Turkish | Greek | Hindi | Korean | Portuguese | Norwegian | Danish | Hebrew | Irish | Welsh | Swahili | Thai | Vietnamese | Esperanto | Klingon"),
    "foreign": listed("guten Tag | wie geht es dir | wo ist der Bahnhof | was ist das | danke schön | bonjour | comment ça va | je ne sais pas | quelle heure est-il | merci beaucoup | hola | buenos días | qué tal | dónde está el baño | cómo te llamas | gracias | ciao bella | come stai | dov'è la stazione | grazie mille | obrigado | onde fica a praia | hvordan går det | tack så mycket | dzień dobry | carpe diem | cogito ergo sum | c'est la vie | quelle est la capitale | wie heißt du | was ist die Hauptstadt | konnichiwa | arigato | merhaba | spasibo | ni hao | shalom | bom dia | mi casa es su casa | ich verstehe nicht | das ist gut | parlez-vous anglais | muy bien | vamos a la playa"),
    "verb": listed("go | eat | swim | run | write | think | sing | bring | catch | be | fly | know"),
    "dish": listed("pancakes | pizza | lasagna | tomato soup | apple pie | fried rice | an omelette | chocolate cake | bread | pasta | chili | curry | goulash | sushi | tacos | a salad | potato salad | banana bread | coffee | tea | lemonade | scrambled eggs | eggs | risotto | pesto | cookies | cheesecake | chicken | a steak | mashed potatoes | waffles | hummus | guacamole | ramen | beef stew | onion soup | paella | dumplings | jam | ice cream | muffins | popcorn"),
    "text": listed("this text | this article | my essay | the news | this book | the following text | my letter | this page | this email | the last chapter | this story | my report | the movie | this document | the text below | the Bible | the plot of Star Wars | this paragraph | my homework | the meeting"),
    "topic": listed("love | spring | the sea | autumn | my cat | a dragon | winter | friendship | the moon | politics | religion | football | climate change | money | school | life | death | music | art | the war | peace | robots | artificial intelligence | space travel | women's rights | taxes | the weather | rain | vegetarians | the future | dreams | happiness | horses | trains | pirates | ghosts | computers | coffee | cats | dogs | freedom | marriage | time | work | holidays | the president | democracy | sleep | education | health | video games | aliens | God | Christmas"),
    "who": listed("my boss | my landlord | my mother | the bank | my teacher | the mayor | Santa Claus | a friend | my neighbor | the school | a customer | my wife | my doctor | the insurance | the editor"),
    "count": listed("two | three | four | five | ten | some | a few | twenty | 3 | 5 | 10"),
    "things": listed("books | movies | songs | fruits | vegetables | animals | birds | flowers | trees | cars | games | countries | cities | colors | sports | names for a cat | baby names | jobs | hobbies | restaurants | recipes | jokes | rivers | mountains | planets | metals | languages | holidays | tools | toys | cheeses | instruments | stars | fish | insects | words | words that rhyme | presents | podcasts | apps | museums | painters | composers | inventors | Roman emperors | elements | oceans | islands | lakes | bones | kings"),
    "does": listed("sorts a list | prints hello world | counts words | adds two numbers | finds prime numbers | reads a file | plays chess | sends an email | draws a circle | reverses a string | computes a factorial | checks a password | downloads a page | renames files | makes a website"),
    "event": listed("a birthday party | my wedding | a trip to Rome | the meeting | a picnic | Christmas | Easter | the concert | a holiday in Spain | the funeral | my graduation | the party | a weekend in Paris | Thanksgiving | New Year's Eve | the school trip | a job interview | Halloween | the next election | the exam | Black Friday | the next full moon | Ramadan | Mother's Day"),
    "when": listed("today | tomorrow | yesterday | tonight | this weekend | next week | on Monday | right now | this morning | last night | next year | last week | in July | at noon | on Sunday | in 2050 | soon | this evening | "),
    "city": CITIES,
    "sport": listed("football | soccer | tennis | basketball | hockey | chess | baseball | cricket | rugby | golf | handball | boxing | Formula 1 | cycling"),
    "good": listed("a car | a house | a bicycle | an iPhone | a laptop | gold | silver | bitcoin | milk | gas | a flight to New York | a ticket | a coffee | a new phone | my washing machine | a TV | a printer | the dishwasher | a camera | a watch | a guitar | a dog | an apartment | oil | bread | a haircut | a pizza | a stamp | butter | a boat | a tractor | a diamond | copper | a sofa | headphones | a vacuum cleaner | running shoes | my radio | a kilogram of apples | a violin | a chessboard"),
    "person": OTHER_PEOPLE,
    "role": listed("boss | CEO | director | president | chairman | owner | king | captain | coach | secretary | leader | head | founder | chief | mayor | principal | chancellor | prime minister"),
    "org": listed("Google | Microsoft | Apple | Tesla | Toyota | Siemens | Real Madrid | FC Barcelona | Bayern Munich | Harvard | Oxford | NASA | the UN | NATO | the EU | the World Bank | Amazon | Netflix | the BBC | Greenpeace | the Red Cross | Nintendo | IKEA | Lego | the FBI | the New York Times | Manchester United | Facebook | OpenAI | Samsung | Sony | the Vatican | my school | our company | Volkswagen | the university"),
    "kin": listed("mother | father | sister | brother | wife | husband | son | daughter | uncle | aunt | cat | dog | boss | neighbor | best friend | teacher | grandmother | cousin | girlfriend | boyfriend | doctor | landlord | roommate | colleague"),
    "own": listed("password | phone number | birthday | age | address | favorite color | favorite food | shoe size | middle name | blood type | IQ | star sign | email | bank balance | job | keys | phone | wallet | glasses | passport | weight | height | hair color | last name | future | IP address | dream | hometown | pin code | computer"),
    "did": listed("eat | buy | say | forget | dream | write | lose | drink | see | find | cook | read | learn | watch"),
    "do": listed("""
        lose weight | learn guitar | tie a tie | change a tire | sleep better | make friends | get rich | stop smoking | fix a bike | paint a wall | plant tomatoes | train a puppy | write a book | find a job | quit my job | save money |
        buy a house | learn German | wash wool | boil an egg | sharpen a knife | build a shelf | draw a horse | swim | ski | dance | juggle | meditate | get a visa | rent a car | open a jar | remove a stain | clean an oven | repair a watch |
        get married | call a taxi | book a flight | invest in stocks | go to the doctor | adopt a cat | grow a beard | cut my hair | bake a cake | make a fire | catch a fish | ride a horse | drive a car | fly a plane | play the piano | sell my car |
        install Windows | reset my password | back up my phone | speak in public | become a pilot | fall asleep | pass the exam | stay healthy | cure a cold | treat a burn | move to Spain | travel to Japan | visit Rome | set an alarm | send a message |
        turn on the light | order a pizza | book a table | buy flowers | eat meat | drink more water | wear a hat | go out | stay at home | play chess | watch a movie | read a book | study | have children | take a nap | dye my hair | knit a scarf
    """),
    "thing": listed("""
        a cat | a dog | tea | coffee | an apple | a banana | a chair | a table | a house | a car | the sky | snow | grass | blood | honey | a lemon | chocolate | cheese | wine | beer | a whale | an elephant | a mouse | a tree | a rose | a stone |
        a feather | the moon | a cloud | rain | fire | ice | a book | a pen | a shoe | a hat | a phone | a computer | a robot | a train | a bus | a ship | a plane | a bridge | a mountain | a river | the ocean | a lamp | a window | a door | a key | a clock |
        soap | paper | glass | plastic | silk | cotton | wool | leather | a carrot | a potato | a tomato | an onion | rice | an egg | a cake | a sandwich | a bear | a wolf | a horse | a cow | a butterfly | a bee | a spider | a snake | a shark | a penguin |
        a banjo | a guitar | a drum | a flute | a violin | the Eiffel Tower | the Statue of Liberty | the Great Wall of China | Big Ben | the White House | a rainbow | a shadow | summer | winter | a cactus | a pumpkin | a spoon | a blanket | a mirror | a balloon
    """),
    "fact": listed("""
        the sky is blue | grass is green | cats purr | birds sing | the sea is salty | leaves fall in autumn | dogs bark | people lie | we dream | ice floats | the moon shines | onions make you cry | bread rises | bees make honey | zebras have stripes | cats hate water |
        time flies | the earth is flat | the earth is round | men went to the moon | money makes happy | sugar is bad | we yawn | babies cry | stars twinkle | planes fly | magnets attract iron | wood burns | glass breaks | hair turns gray | apples are red | it rains |
        the dinosaurs died out | wars happen | Rome fell | Napoleon lost | the Titanic sank | gold is expensive | snow is white | fire is hot | water is wet | whales sing | coffee wakes you up | i am tired | you exist | nobody likes me | life is hard | food tastes good
    """),
    "place": listed("the station | the airport | the next gas station | the supermarket | the post office | the library | the hospital | the nearest pharmacy | the beach | the town hall | the museum | the zoo | the bank | my hotel | the moon | Mars | the center | the school | the swimming pool | the theater | the castle | New York | Berlin | London | the toilet | the bakery | the North Pole | the lake | the stadium | the office"),
    "adj": listed("green | big | broken | cold | funny | old | strange | expensive | red | heavy | wet | beautiful | dangerous | loud | tiny | purple | square | happy | asleep | missing | empty | sticky | invisible | blue | soft"),
    "mood": listed("hungry | thirsty | angry | in love | confused | nervous | lonely | scared | excited | jealous | dizzy | late | lost | cold | rich | famous | invisible | proud | a teacher | from Spain | 30 years old | allergic to nuts | married | new here | a doctor | ready | stuck | curious | a banana"),
    "blab": listed("purple | monkey | banana | dishwasher | sideways | elephant | seven | quickly | under | blue | toast | Tuesday | cheese | running | potato | bicycle | cloud | whisper | hammer | ten | lamp | sock | dance | square | river | mumble | green | ideas | sleep | furiously | carpet | spoon | violin | because | never | jump | flap | soup | over | radio"),
}  # fmt: skip
SYLLABLES = listed("za | zo | bli | qua | kor | mel | dra | vin | tor | lum | pex | gri | sna | ru | ta | fel | mor | wun | xi | jo | kra | pli | ven | dor | syl | eth | ba | nu | ork | ima | qui | ber | hol | ga | ti | wo | sto | ny | fra | ulo")
ENDINGS = listed("nia | land | stan | via | dor | ria | topia | ia | ora | mark | esh | bu | ville | burg | tan | ium | ine | ax | on | eth | us | o | a | wick | dale")
TITLE_WORDS = (
    listed("Blue | Last | Silent | Broken | Golden | Hidden | Crimson | Forgotten | Frozen | Burning | Paper | Glass | Iron | Secret | Lost | Crooked | Winter | Midnight | Empty | Velvet | Hollow | Seven | Grey | Distant | Wooden | Salt | Electric | Bitter | Little | Red"),
    listed("Lantern | Harbor | House | Stones | River | Garden | Mirror | Kingdom | Letter | Train | Mountain | Daughter | Sailor | Clock | Island | Orchard | Window | Bridge | Crown | Forest | Shadow | Summer | Road | Song | Tower | Wolf | Queen | Farm | Machine | Sea"),
)
MADE_UP_THINGS = (
    listed("self-cleaning | flying | solar | wooden | magnetic | electric | talking | folding | square | underwater | quantum | inflatable | steam | left-handed | musical | edible | turbo | invisible | automatic | pocket"),
    listed("toaster | bicycle | hat | umbrella | toothbrush | engine | sandwich | chair | keyboard | ladder | teapot | boat | spoon | clock | shoe | lamp | typewriter | drill | piano | mirror | wheel | bottle | pump | broom | pen"),
)

# More small talk, by the beginning of its answer.
MORE_TALK = {
    "Hello! How": listed("""
        hi bot | hey bot | hey you | hi again | hello again | hello friend | hiya | howdy | greetings | yo | hi chatbot | good day | hello to you | hey hey | hi everybody | hallo | heya | hello hello | well hello |
        hi, nice to see you | hello my friend | hey buddy | sup | hello bot | good afternoon
    """),
    "Good morning!": listed("morning | morning bot | a good morning to you | good morning my friend | hello and good morning | very good morning | top of the morning | gm | good morning bot | hey, good morning | mornin | morning everyone"),
    "Good evening!": listed("evening | evening bot | a good evening to you | good evening my friend | hello and good evening | good evening bot | hey, good evening | evenin | evening everyone"),
    "Good night!": listed("night | night night | goodnight | sleep well | nighty night | good night my friend | good night bot | i'm off to bed | i go to sleep now | time for bed | i'm going to sleep | a good night to you | gn | sweet dreams"),
    "I am fine,": listed("""
        how are you feeling | how's it going | how is it going | hows life | how do you feel | how is your day | how are things | are you okay | are you fine | you ok | how are you my friend | how are u | how r you | how are you bot | hey how are you |
        how have you been | hello, how are you | how's everything | are you doing well | how is everything with you | and how are you | how do you feel today | how goes it
    """),
    "You are welcome!": listed("""
        thx | ty | thanks a lot | thanks so much | thank you so much | many thanks | cheers | great, thanks | ok thanks | thanks bot | thank you chatbot | thanks, that helped | thank you kindly | much appreciated | thanks a million | thank you, my friend |
        perfect, thank you | that was helpful, thanks | thanks for the answer | thank you for the information | nice, thanks | thanks again | thank you again | i thank you | tysm
    """),
    "Goodbye! Come": listed("""
        bye bye | goodbye bot | cya | see you soon | see you tomorrow | farewell | so long | take care | until next time | i must go | i need to go now | i'm leaving | gotta go | ok bye | thanks and bye | bye chatbot | goodbye my friend | ciao | later |
        see ya | have a nice day | that's all, goodbye | talk to you later | catch you later | bye for now | i'm off | bye then | thank you and goodbye
    """),
    "Why did": listed("""
        say something funny | tell me something funny | got a joke | give me a joke | a joke | joke | joke, please | be funny | can you be funny | do you know any jokes | know a good joke | tell me your best joke | i want to laugh | tell a joke | another joke |
        one joke please | do you have a joke for me | can you make me laugh | jokes please | i want to hear a joke | say a joke | crack a joke | any good jokes
    """),
    "Thank you, that": listed("""
        you're great | you are awesome | you're smart | you are very smart | good job | nice job | great job | well done | nice answer | you are the best | you're the best | i love you | i really like you | you are clever | you are cool | good bot | you are nice |
        you are funny | that was great | very good answer | what a good answer | you are amazing | you did well | you are helpful | bravo | impressive
    """),
    "I am sorry. I": listed("""
        wrong | wrong answer | that's wrong | that's not right | that is not true | that's false | not correct | that is incorrect | you made a mistake | you're wrong | this is wrong | no, that's wrong | you are mistaken | bad answer | bad bot | you are stupid |
        that was wrong | you got that wrong | nonsense | that makes no sense | not true | that can't be right | your answer is wrong | you are useless | you lie
    """),
    "No problem.": listed("my bad | sorry for that | apologies | i apologize | i'm sorry | oh sorry | sorry, my mistake | pardon me | forgive me | excuse me please | so sorry | oops, sorry | sorry bot"),
    "I am sorry to hear": listed("""
        i'm sad | i feel sad | i am so sad | i'm not well | i don't feel good | i feel terrible | i'm sick | i am sick | i feel awful | my day was bad | today was a bad day | i feel down | i am unhappy | i'm depressed | i had a terrible day | i feel ill | i am not feeling well |
        i am heartbroken | i have a headache
    """),
    "I am glad": listed("""
        i'm happy | i am so happy | i feel good | i'm great | i am great | i'm doing well | i am well | i'm good | i had a great day | today was a good day | i feel wonderful | i am feeling great | my day was great | life is good | i'm fine, thanks | i am fine, thank you | i'm very happy today
    """),
    "Then ask": listed("""
        i'm bored | bored | i am so bored | so boring | i have nothing to do | this is boring | what shall we talk about | what do you want to talk about | let's talk | talk to me | i don't know what to ask | what should i ask you | suggest a topic | entertain me | i am a bit bored |
        what now | i'm bored, talk to me | let's chat
    """),
    "Then have": listed("i'm tired | i'm so tired | i am very tired | i am sleepy | i'm sleepy | so tired | i need a nap | i need to sleep | i am exhausted | i need a rest | i want to sleep | i need a break | tired | long day, i'm tired"),
    "All right.": listed("k | fine | alright | sure | good | i understand | makes sense | aha | oh okay | ok then | ok, got it | understood | cool | interesting | very well | great | good to know | right | oh i see | ok cool"),
    "Nice to meet you too!": listed("good to meet you | nice meeting you | pleasure to meet you | glad to meet you | happy to meet you | it's nice to meet you | a pleasure to meet you | very nice to meet you | great to meet you | lovely to meet you"),
    "Yes, I am here": listed("anybody there | anyone there | you there | are you still there | hello, are you there | are you listening | do you hear me | are you awake | still there | is anyone here | are you with me | are you online now | can anybody hear me"),
    "I am a small chatbot. I": listed("""
        who r u | what r u | who are you really | and who are you | what exactly are you | say who you are | what is this thing | what is this program | what is this chatbot | are you a robot | are you a machine | are you artificial intelligence | are you an ai model |
        what sort of bot are you | so who are you | are you chatgpt | who am i speaking to | with whom am i talking | what am i talking to | i want to know who you are | may i know who you are | introduce yourself please | tell me more about you | what's this | are you some kind of ai |
        what can you say about yourself | who is there | describe yourself briefly | are you a program | are you software
    """),
    "You can ask": listed("""
        what are your topics | what subjects do you know | what do you know about | which topics do you know | what can i talk about with you | which questions can you answer | what kind of questions can you answer | what can you answer | what are your skills |
        what were you taught | what did you learn | what things do you know | what can you help with | what can you help me with | what can i ask | list your topics | help | what are you able to do | your abilities | what are your abilities | what is it that you can do |
        what do you know anything about | which things can i ask | what should i ask you about | how can you help me | tell me what you know | what stuff do you know
    """),
    "Of course. What": listed("""
        help me | can you help | could you help me | i need your help | could i ask you something | can i ask a question | may i ask a question | i have a question for you | i want to ask you something | i'd like to ask something | question for you | could you answer a question |
        got a minute | would you help me | i need some help please | i could use some help | can you answer a question | i want to know something | do you have time for a question
    """),
    "I was trained from": listed("""
        who created you | who programmed you | who is your maker | who is your creator | how were you built | how were you created | where were you made | who developed you | how did you learn | who taught you | what were you trained on | how were you programmed | who wrote you |
        which company made you | where were you trained | your creator | who is your developer | how did they train you | who made this bot | what is your origin | where are you from | who invented you | how are you made
    """),
    "No, I am a": listed("""
        are you a human | are you a human being | are you real | are you a man | are you a woman | are you a living being | is this a real person | are you a boy or a girl | are you a real human | am i talking to a person | am i talking to a human | do i talk to a human | is a human writing this |
        is there a human behind this | are you a man or a woman | do you live | is this a person | are you really a human | are you flesh and blood | you are human, right
    """),
    "I have no name.": listed("""
        what's your name | your name | what are you called | what should i call you | how should i call you | who do i call you | may i know your name | name please | say your name | do you have any name | have you got a name | how do people call you | your name please | what is ur name |
        what do they call you | how are you called | can you tell me your name | tell me what your name is | what's your name, chatbot | and your name
    """),
    "I have no age.": listed("your age | what's your age | how old r u | when is your birthday | when were you made | what year were you born | how many years old are you | tell me your age | are you old | are you young | how old are you now | when were you created | do you have an age | when is your birth date"),
    "No, I have no feelings": listed("""
        do you feel something | do you feel anything | can you feel | are you able to feel | do you feel pain | do you have emotions | can you be sad | can you be happy | do you love me | do you love anybody | have you got feelings | do you feel love | are you ever sad | do you get angry | can you get angry |
        do you have a heart | are you ever lonely | do you have any feelings | can a bot like you feel | do you feel happy | does it hurt you | are you in love
    """),
    "Yes, I am a small": listed("""
        are you ever wrong | can you be wrong | do you make errors | are your answers correct | are your answers right | can i rely on you | can i believe you | do you always tell the truth | are you reliable | are you sure | should i trust you | are you trustworthy | could you be wrong |
        is everything you say true | are your answers always true | how reliable are you | do you ever make mistakes | are you accurate | can i trust your answers | do you lie
    """),
    "No, I only": listed("""
        do you speak French | do you speak Italian | do you speak Spanish | can you speak German | can you talk in Chinese | do you know other languages | what languages do you speak | which languages do you speak | do you understand German | can you write in Spanish | do you understand Russian |
        are you able to speak Japanese | speak German | do you only speak English | can we talk in French | do you know Latin | can you speak another language | how many languages do you speak | can you understand Dutch | do you speak anything else than English | do you talk Polish | do you know any Arabic
    """),
    "No, I cannot": listed("""
        can you google something | can you search the internet | can you look that up | look it up | search the web for me | are you connected to the internet | do you have internet access | can you go online | google it | do you have access to the internet | can you browse the web | are you connected |
        can you look it up on the web | search online | can you use google | do you have internet | can you check online | can you look up something online | can you open a website
    """),
    "I remember only": listed("""
        do you know me | do you remember what i said yesterday | do you remember yesterday | do you forget things | can you remember things | do you remember our conversation | can you remember me | will you remember me | do you remember anything | how good is your memory | have we talked before |
        do you remember what we talked about last week | do you store our chats | will you remember this tomorrow | have you got a memory | do you keep our conversations | do you recognize me | can you remember our last chat | what do you remember
    """),
}  # fmt: skip
TALK_TIMES = 18
LEAD_TALK = listed("hey, | so, | well, | oh, | hmm, | and | tell me, | hello, | ok, | please, | just curious, | now, | but")
QUESTION_WORDS = set("who what which whose how why when where are is do does can could may have got will would am should any anybody anyone did".split())

UNTAUGHT: dict[str, list] = {
    "capital": OTHER_COUNTRIES * 2 + REGIONS + PLACES * 2 + CITIES[::3],
    "currency": OTHER_COUNTRIES + [row[0] for row in CAPITAL[2][5:] if row[0] not in {money[0] for money in CURRENCY[2]}] * 2 + PLACES[:30] + REGIONS[::4],
    "continent": OTHER_COUNTRIES + [row[0] for row in CAPITAL[2] if row[0] not in {place[0] for place in CONTINENT[2]}] + CITIES + PLACES[:14],
    "symbol": OTHER_SUBSTANCES,
    "book": OTHER_BOOKS,
    **OTHER_WORKS,
    "event": OTHER_EVENTS,
    "number": OTHER_NUMBERS,
    "young": OTHER_ANIMALS,
    "planet": OTHER_ORDINALS,
    "definition": OTHER_WORDS,
    "who": OTHER_FIRSTS,
    "thing": [
        f"the {adjective} {noun} {place}".strip()
        for adjectives, nouns, places in OTHER_RECORDS
        for adjective in listed(adjectives)
        for noun in listed(nouns)
        for place in [place.strip() for place in places.split("|")]
    ],
}  # fmt: skip

# How many questions are drawn: for each fact of a kind, for each kind with untaught and with made-up subjects.
TIMES = {
    "capital": 22, "currency": 26, "continent": 23, "symbol": 26, "book": 26, "maker": 29, "first": 43, "event": 34,
    "number": 29, "young": 25, "record": 41, "planet": 35, "definition": 25, "own": 32,
}  # fmt: skip
ALIASED = 1.5  # times as many where a subject has other names, which want to be learned too
TIMES_UNTAUGHT = {
    "capital": (640, 120), "currency": (380, 40), "continent": (190, 20), "symbol": (300, 70), "book": (240, 100),
    "painted": (80, 30), "composed": (80, 30), "invented": (180, 60), "discovered": (110, 20), "event": (320, 0),
    "number": (560, 0), "young": (300, 40), "planet": (140, 0), "definition": (380, 60), "who": (440, 0), "thing": (1000, 0),
}  # fmt: skip
FREE_TIMES = 1200
SHARE_UNTAUGHT = 0.66
ORDINALS = {row[0] for row in PLANET[2]}
SMALL_WORDS = {"the", "is", "of", "a", "an", "does", "do", "did", "was", "in", "are", "to", "on"}


# ---------------------------------------------------------------------------------------------------------------------
# Conversations of several turns

NAMES = ["Anna", "Ben", "Carla", "David", "Emma", "Felix", "Grace", "Henry", "Ines", "Jonas"]
NAMES += ["Kate", "Leo", "Maria", "Nora", "Oscar", "Paul", "Rosa", "Sam", "Tom", "Vera"]
NAMES += ["Alice", "Bob", "Chris", "Diana", "Eric", "Fiona", "George", "Hannah", "Ivan", "Julia", "Kevin", "Laura", "Mark", "Nina"]
NAMES += ["Olivia", "Peter", "Quinn", "Robert", "Sarah", "Thomas", "Ursula", "Victor", "Wendy", "Xavier", "Yuki", "Zoe", "Ali", "Lucy"]
GIVE_NAME = ["My name is {0}.", "I am {0}.", "Hello, I am {0}.", "Hi, my name is {0}.", "call me {0}", "I'm {0}", "my name's {0}", "hey, {0} here"]
ASK_NAME = ["What is my name?", "Do you remember my name?", "Who am I?", "Tell me my name.", "whats my name", "do you know my name", "what am i called"]
MEET = "Nice to meet you, {0}!"
KNOW_NAME = "Your name is {0}."

REPEAT = ["Please repeat that.", "Say that again, please.", "Can you say that again?", "repeat your answer", "Again, please.", "what did you say", "Repeat that."]

# "And of Japan?" asks the question before it once more, about something else.
SAME_OF_ANOTHER = {
    "capital": ["And of {0}?", "What about {0}?", "And what about {0}?", "and {0}?", "how about {0}", "And for {0}?", "what about {0}"],
    "currency": ["And of {0}?", "What about {0}?", "And what about {0}?", "and in {0}", "How about {0}?", "and {0}?"],
    "continent": ["And {0}?", "What about {0}?", "And what about {0}?", "and {0}", "How about {0}?"],
    "symbol": ["And of {0}?", "What about {0}?", "And what about {0}?", "and {0}", "How about {0}?", "And for {0}?"],
    "book": ["And {0}?", "What about {0}?", "And what about {0}?", "and {0}", "How about {0}?"],
    "young": ["And a young {0}?", "What about a {0}?", "And what about a {0}?"],
    "planet": ["And the {0}?", "What about the {0}?", "And what about the {0}?"],
    "maker": ["And {0}?", "What about {0}?", "And what about {0}?"],
    "number": ["And {0}?", "What about {0}?", "And what about {0}?"],
    "event": ["And {0}?", "What about {0}?", "And what about {0}?"],
}
# Steps from the first subject to the second, in rows of the table, for training and for validation.
STEPS = {
    "capital": ((7, 12, 26), 33),
    "currency": ((3, 5, 11), 7),
    "continent": ((5, 11), 7),
    "symbol": ((4, 11), 7),
    "book": ((5, 3), 7),
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
# The same for what was not taught, by the kind of the fact before it.
NOT_TAUGHT_ABOUT_IT = {
    "capital": listed("""
        And its population? | How many people live there? | Who is its president? | what language do they speak there | And its flag? | Who is the king there? | how big is it |
        And the weather there? | What do people eat there? | Who rules it? | And the second largest city? | how do i get there
    """),
    "currency": listed("How many people live there? | And its president? | what language do they speak there | How much is that in dollars? | Who prints it?"),
    "book": listed("When was it written? | What is it about? | how many pages does it have | When was he born? | Is it a good book? | what else did he write"),
    "maker": listed("When was that? | How old was he? | where is it now | Was he rich? | How much is it worth?"),
    "symbol": listed("And its price? | Who discovered it? | what is it used for | At what temperature does it melt? | And its weight?"),
    "young": listed("How long does it live? | What does it eat? | and the mother | How much does it weigh?"),
    "record": listed("How big is it? | how old is it | Have you seen it? | And the second one? | How do you know that?"),
    "first": listed("When was he born? | and the second one | When was that? | Where did he live?"),
}  # fmt: skip

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


def key(question: str) -> str:
    """Return what makes two questions the same: letters and digits, without case."""
    return "".join(character for character in question.casefold() if character.isalnum())


# What a question may have more or less of and still be the same question: greetings, politeness, articles.
LEAD_INS = re.compile(
    r"\b(hey|hi|hello|there|ok|okay|so|well|um|please|pls|thx|thanks|thank you|do you happen to know|do you know|any idea"
    r"|(can|could|would|will) you( please)?( tell me| name| remind me)?|tell me|remind me|i forgot|quick question|question|chatbot|bot"
    r"|again|exactly|really|actually|by the way|the|a|an)\b"
)


def core(question: str) -> str:
    """Return what is left of a question without case, punctuation, greetings, politeness and articles."""
    words = question.casefold().replace("'", "").replace("’", "")
    return key(LEAD_INS.sub(" ", re.sub(r"[^\w]+", " ", words))) or key(question)


def strangers() -> set[str]:
    """Return the cores of the questions in strangers.jsonl, which are the exam: training never sees them, nor what is near."""
    with open(Path(__file__).resolve().parent / "strangers.jsonl", encoding="utf-8") as file:
        return {core(json.loads(line)["messages"][-2]["content"]) for line in file}


def bare(subject: str) -> str:
    """Return the subject without its article."""
    return re.sub("^(the|an|a) ", "", subject, flags=re.IGNORECASE)


def typo(rng: random.Random, text: str) -> str:
    """Swap, drop, double or change a letter within one long word, or mistype a small one; ordinals stay as they are."""
    small = [m for m in re.finditer(r"[A-Za-z]+", text) if m.group().lower() in MISTYPED]
    if small and rng.random() < 0.4:
        word = rng.choice(small)
        return text[: word.start()] + rng.choice(MISTYPED[word.group().lower()]) + text[word.end() :]
    spots = [m for m in re.finditer(r"[A-Za-z]{5,}", text) if m.group().lower() not in ORDINALS]
    if not spots:
        return text
    word = rng.choice(spots)
    at = rng.randrange(word.start() + 1, word.end() - 1)
    now, after = text[at], text[at + 1]
    changed = rng.choice([after + now, after, now + now + after, rng.choice("aeiou") + after])
    return text[:at] + changed + text[at + 2 :]


def typed(rng: random.Random, text: str, is_question: bool = True) -> str:
    """Return `text` as somebody may type it: with or without capitals, apostrophes, articles, the sign at the end."""
    if rng.random() < 0.07:  # in the style of a telegram
        words = text.split(" ")
        kept = [word for word in words if word.lower() not in SMALL_WORDS or rng.random() < 0.3]
        text = " ".join(kept) if len(kept) > 1 else text
    while rng.random() < 0.12:
        text = typo(rng, text)
    if rng.random() < 0.06:
        text = re.sub(r"[A-Za-z]+", lambda word: SLANG.get(word.group().lower(), word.group()), text)
    if text[-1] not in ".?!_…":
        ends = ("?", "?", "?", "?", "?", "?", "", "", "", "", "??", ".") if is_question else (".", ".", ".", "", "", "", "", "!")
        text += rng.choice(ends)
    style = rng.random()
    if style < 0.45:
        text = text.lower()
    elif style < 0.455:
        text = text.upper()
    else:
        text = re.sub(r"\bi\b", "I", text[0].upper() + text[1:])
    if rng.random() < 0.35:
        text = text.replace("'", "")
    return text.strip()


def compose(rng: random.Random, ways: dict[str, list[str]], row: tuple, whole: list[str] = ()) -> str:
    """Return a question about `row`: a core from `ways` (or from the `whole` questions), with its surroundings."""
    names = ALIASES.get(row[0], [])
    subject = rng.choice(names) if names and rng.random() < 0.45 else row[0]
    if "1st" in names:  # "3rd" and "third" are equally frequent
        subject = rng.choice([row[0], *names])

    def fill(template: str) -> str:
        return template.format(subject, *row[1:], bare=bare(subject)).replace("GAP", rng.choice(GAP))

    styles = {"noun": 3, "clause": 2, "ask": 3, "short": 3, "turned": 2.2, "whole": 2, "own": 3}
    choices = {**ways, "whole": whole}
    styles = {style: weight for style, weight in styles.items() if choices.get(style)}
    style = rng.choices(list(styles), list(styles.values()))[0]
    core = rng.choice(choices[style])
    core = core if style == "whole" else fill(core)
    is_question = True
    if style == "noun" and rng.random() < 0.85:
        lead = rng.choice(LEAD_NOUN)
        is_question = lead.split()[0] in ("what", "what's", "whats", "can", "could", "do", "would", "and", "so", "any")
        core = f"{lead} {core}"
    elif style == "clause":
        lead = rng.choice(LEAD_CLAUSE)
        is_question = lead.split()[0] in ("can", "could", "do", "would", "any", "who")
        core = f"{lead} {core}"
    elif style == "whole":
        is_question = not core.endswith(".")
        core = core.rstrip(".?")
    elif style in ("noun", "short") and rng.random() < 0.5:
        core = bare(core)
    if style not in ("short", "turned") or rng.random() < 0.35:
        if rng.random() < 0.28:
            core = f"{rng.choice(LEAD_IN)} {core}"
        if rng.random() < 0.2 and core[-1] not in "._?…":
            tail = rng.choice(TAIL)
            core += tail if tail[0] in ",?" else f" {tail}"
    return typed(rng, core, is_question)


def distinct(draw: Callable[[], str], number: int, taken: set[str]) -> list[str]:
    """Draw up to `number` questions that are not yet `taken`, which grows by them."""
    found: list[str] = []
    for _ in range(6 * number):
        if len(found) == number:
            break
        question = draw()
        if key(question) and key(question) not in taken:
            taken.add(key(question))
            found.append(question)
    return found


def records(adjectives: str, nouns: str, places: str) -> list[str]:
    """Return "the largest ocean in the world", "the world's biggest ocean" and so on."""
    names = []
    for adjective in listed(adjectives):
        for noun in listed(nouns):
            for place in [place.strip() for place in places.split("|")]:
                names.append(f"the world's {adjective} {noun}" if place == "WORLD" else f"the {adjective} {noun} {place}".strip())
    return names


def ways_of(fact: Fact) -> tuple[dict[str, list[str]], tuple]:
    """Return the ways to ask for a fact, and the row that fills them."""
    own = {"own": MORE_QUESTIONS.get(fact.row[0], [])}
    if fact.kind == "own":
        return own, (fact.row[0],)
    if fact.kind == "maker":
        return {**WAYS[fact.row[1]], **own}, fact.row
    if fact.kind in ("first", "record"):
        if fact.kind == "first":
            names, questions = [fact.row[0], *ALSO_CALLED[fact.row[0]]], own["own"]
        else:
            *parts, asked = RECORD_PARTS[fact.row[0]]
            names, questions = records(*parts), listed(asked)
        ways = WAYS["who" if fact.kind == "first" else "thing"]
        filled = {
            style: [template.replace("{0}", name).replace("{bare}", bare(name)) for template in templates for name in names]
            for style, templates in ways.items()
        }
        return {**filled, "own": questions}, fact.row
    if fact.kind == "event":
        ways = dict(WAYS["event"])
        more = WAR_WAYS.get(fact.row[1], [])
        more = [way for way in more if "fought" not in way or "Battle" in fact.row[0]]
        return {**ways, "own": own["own"] + more}, fact.row
    return {**WAYS[fact.kind], **own}, fact.row


def taught(facts: dict[str, list[Fact]], taken: set[str]) -> list[list[Turn]]:
    """Return the composed questions about the facts, for training; `taken` holds what must not be asked, and grows."""
    rng = random.Random(1)
    conversations = []
    for kind, group in facts.items():
        for fact in group:
            ways, row = ways_of(fact)
            number = round(TIMES[kind] * (ALIASED if row[0] in ALIASES else 1))
            draws = distinct(lambda: compose(rng, ways, row, fact.train), number, taken)  # noqa: B023
            conversations += [[(question, fact.answer)] for question in draws]
    return conversations


def more_talk(taken: set[str]) -> list[list[Turn]]:
    """Return more small talk, as people type it; `taken` as above."""
    rng = random.Random(3)
    conversations = []
    for answer, questions, held_out in [*SMALL_TALK, WHO_ARE_YOU, *ABOUT_ITSELF]:
        [more] = [more for begin, more in MORE_TALK.items() if answer.startswith(begin)]
        pool = [question.rstrip(".?!") for question in questions[: len(questions) - held_out]] + more * 2

        def draw() -> str:
            text = rng.choice(pool)
            if rng.random() < 0.2:
                text = f"{rng.choice(LEAD_TALK)} {text}"
            return typed(rng, text, is_question=text.split()[0].lower() in QUESTION_WORDS)

        conversations += [[(question, answer)] for question in distinct(draw, TALK_TIMES, taken)]
    return conversations


def split_ways(templates: list[str]) -> dict[str, list[str]]:
    """Sort templates into nouns ("the height of {0}"), which take "tell me", and whole questions."""
    nouns = [template for template in templates if re.match("(the|a|an|your) ", template)]
    return {"noun": nouns, "ask": [template for template in templates if template not in nouns]}


def fits(template: str, row: tuple) -> bool:
    """Say whether `row` has all that the template asks for; an untaught row has no answer."""
    return all(int(place) < len(row) for place in re.findall(r"{(\d)}", template))


def name_of_nothing(rng: random.Random) -> str:
    """Return a made-up name: "Quavinland"."""
    return "".join([*rng.choices(SYLLABLES, k=rng.randint(1, 2)), rng.choice(ENDINGS)]).capitalize()


def mash(rng: random.Random) -> str:
    """Return what a cat on the keyboard types."""
    letters = rng.choice(["asdfghjkl", "qwertyuiop", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz", "sdfgjk", "aeioukltr"])
    return "".join(rng.choices(letters, k=rng.randint(3, 9)))


def made_up(rng: random.Random, kind: str) -> str:
    """Return a subject of a kind that does not exist."""
    if kind == "book" and rng.random() < 0.8:
        return f"The {rng.choice(TITLE_WORDS[0])} {rng.choice(TITLE_WORDS[1])}"
    if kind in ("painted", "composed"):
        return rng.choice(["The {0} {1}", "{0} {1}", "{1} of {0} Light"]).format(*map(rng.choice, TITLE_WORDS))
    if kind in ("invented", "discovered") and rng.random() < 0.8:
        return "the {0} {1}".format(*map(rng.choice, MADE_UP_THINGS))
    name = name_of_nothing(rng)
    if kind in ("symbol", "young"):
        return name.lower()
    if kind == "definition":
        return rng.choice(["", "a "]) + name.lower()
    return name


def untaught(taken: set[str]) -> list[list[Turn]]:
    """Return the composed questions to which DONT_KNOW is the answer; `taken` as above."""
    rng = random.Random(2)
    questions: list[str] = []

    def add(number: int, ways: dict[str, list[str]], row: Callable[[], tuple], whole: Callable[[tuple], list[str]] = None) -> None:
        def draw() -> str:
            subject = row()
            fitting = {style: [way for way in group if fits(way, subject)] for style, group in ways.items()}
            return compose(rng, fitting, subject, whole(subject) if whole else [])

        questions.extend(distinct(draw, round(number * SHARE_UNTAUGHT), taken))

    for kind, subjects in UNTAUGHT.items():
        known, invented = TIMES_UNTAUGHT[kind]
        taught_kind = "maker" if kind in OTHER_WORKS else {"who": "first", "thing": "record"}.get(kind, kind)
        templates = KINDS[taught_kind][0]
        verb = (kind,) if kind in OTHER_WORKS else ()

        def whole(subject: tuple) -> list[str]:
            return [wording(template, (*subject, *verb) if verb else subject) for template in templates]

        deck: list = []

        def deal() -> tuple:  # every subject once before any comes again
            if not deck:
                deck.extend(rng.sample(subjects, len(subjects)))
            subject = deck.pop()
            return subject if isinstance(subject, tuple) else (subject,)

        ways = dict(WAYS[kind])
        if kind == "event":
            ways["own"] = sum(WAR_WAYS.values(), [])
            battles = [row for row in subjects if row[1] == "take place"]
            add(known // 3, {"ask": WAR_WAYS["take place"]}, lambda: rng.choice(battles))
            add(known // 4, {"ask": WAR_WAYS["begin"]}, lambda: rng.choice([row for row in subjects if row[1] == "begin"]))
            add(known // 4, {"ask": WAR_WAYS["end"]}, lambda: rng.choice([row for row in subjects if row[1] == "end"]))
            ways.pop("own")
        add(known, ways, deal, whole)
        add(invented, ways, lambda: (made_up(rng, kind),), whole)
    from_the_city = [way.replace("{1}", "{0}") for way in WAYS["capital"]["turned"] if "{0}" not in way]
    add(90, {"ask": from_the_city}, lambda: (rng.choice(OTHER_CAPITALS),))
    for number, templates, subjects in relations():
        add(number, split_ways(templates), lambda: (rng.choice(subjects),))
    templates_left: list[str] = []

    def free() -> str:
        if not templates_left:
            templates_left.extend(rng.sample(FREE, len(FREE)))

        def slot(match: re.Match) -> str:
            return mash(rng) if match.group(1) == "mash" else rng.choice(SLOTS[match.group(1)])

        text = re.sub(r"{(\w+)}", slot, templates_left.pop()).strip()
        style = "noun" if re.match("(the|a|an) .*(of|in|for|to|about) ", text) else "ask"
        return compose(rng, {style: [text.replace("{", "")]}, ("",))

    questions += distinct(free, round(FREE_TIMES * SHARE_UNTAUGHT), taken)
    return [[(question, DONT_KNOW)] for question in questions]


def relations() -> list[tuple[int, list[str], list[str]]]:
    """Return how many questions to draw about which relations of which subjects."""

    def column(kind: str, index: int = 0) -> list[str]:
        return [row[index] for row in KINDS[kind][2]]

    countries = column("capital") * 2 + OTHER_COUNTRIES[::3]
    made = {verb: [row[0] for row in MAKER[2] if row[1] == verb] for verb in OTHER_WORKS}
    people = [name for name in column("book", 1) + column("maker", 2) + column("first", 1) if " and " not in name]
    return [
        (380, MORE_ABOUT["country"], countries),
        (300, MORE_ABOUT["country_ask"], countries),
        (60, MORE_ABOUT["city"], CITIES + column("capital", 1)),
        (280, MORE_ABOUT["substance"], column("symbol") * 2 + OTHER_SUBSTANCES[:60]),
        (280, MORE_ABOUT["work"], column("book") * 3 + OTHER_BOOKS),
        (110, MORE_ABOUT["painting"], made["painted"]),
        (70, MORE_ABOUT["music"], made["composed"]),
        (90, MORE_ABOUT["invention"], made["invented"] + made["discovered"] + OTHER_WORKS["invented"][:20]),
        (240, MORE_ABOUT["event"], [row[0] for row in EVENT[2] if re.search("Battle of [^W]|War|Revol", row[0])]),
        (110, MORE_ABOUT["sight"], ["the Titanic", "the Berlin Wall", "the Suez Canal", "the Panama Canal"]),
        (70, MORE_ABOUT["waterloo"], ["the Battle of Waterloo", "Waterloo"]),
        (220, MORE_ABOUT["animal"], column("young") * 3 + OTHER_ANIMALS),
        (110, MORE_ABOUT["planet"], [name for name in column("planet", 1) if name != "Earth"] + ["the Moon", "Pluto", "the Sun"]),
        (200, MORE_ABOUT["record"], column("record", 1) + column("record")),
        (110, MORE_ABOUT["person"], people),
        (30, MORE_ABOUT["time"], column("number")),
    ]


def unknown(taken: set[str]) -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Return the questions to which "I don't know" is the honest answer; every 40th composed one is for validation."""
    train = [[(question, DONT_KNOW)] for question in UNKNOWN_TRAIN]
    val = [[(question, DONT_KNOW)] for question in UNKNOWN_VAL]
    taken.update(key(question) for question in UNKNOWN_TRAIN + UNKNOWN_VAL)
    for number, turns in enumerate(untaught(taken)):
        (val if number % 40 == 39 else train).append(turns)
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
            is_val = which == number % 6
            for shift in range(1 if is_val else 3):
                question = OTHER_ABOUT_IT[b][(number + which + shift) % 3]
                opening = by_country[a][country].ask(number + which + shift)
                (val if is_val else train).append([opening, (question, by_country[b][country].answer)])
        # Three turns: the country changes on the way, "its" is the second one.
        if len(known) == 3:
            start = facts["capital"][(3 * number + 20) % len(facts["capital"])]
            middle = by_country["capital"][country]
            last = by_country[("currency", "continent")[number % 2]][country]
            again = wording(SAME_OF_ANOTHER["capital"][number % 3], middle.row)
            is_val = number % 4 == 3
            for shift in range(1 if is_val else 3):
                question = OTHER_ABOUT_IT[last.kind][(number + shift) % 3]
                turns = [start.ask(number + shift), (again, middle.answer), (question, last.answer)]
                (val if is_val else train).append(turns)
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
            give, ask = GIVE_NAME[(number + 3 * shift) % 8], ASK_NAME[(number // 4 + 2 * shift) % 7]
            turns = [(give.format(name), MEET.format(name)), (ask, KNOW_NAME.format(name))]
            if shift == 1:
                turns.insert(1, facts["capital"][3 * number % 64].ask(number))
            if shift == 3 and number % 3:
                continue
            (val if shift == 3 else train).append(turns)
    return train, val


def repeats(facts: dict[str, list[Fact]]) -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Return conversations in which the user asks to hear the answer again."""
    everything = [fact for group in facts.values() for fact in group]
    chosen = [fact.ask(number) for number, fact in enumerate(everything[::3])]
    turns = [[turn, (REPEAT[number % len(REPEAT)], turn[1])] for number, turn in enumerate(chosen)]
    return [t for n, t in enumerate(turns) if n % 6], turns[::6]


def unknown_later(facts: dict[str, list[Fact]]) -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Return "And of Tonga?" conversations: the follow-up asks for something that was not taught."""
    train, val = [], []
    for kind, step in (("capital", 9), ("symbol", 3), ("currency", 4)):
        for number, subject in enumerate(UNTAUGHT[kind][:24]):
            turns = [facts[kind][number * step % len(facts[kind])].ask(number)]
            turns += [(SAME_OF_ANOTHER[kind][number % 3].format(subject), DONT_KNOW)]
            (val if number % 6 == 5 else train).append(turns)
    return train, val


def unknown_about_it(facts: dict[str, list[Fact]]) -> tuple[list[list[Turn]], list[list[Turn]]]:
    """Return "And its population?" conversations, and "And of France?" ones that follow a question without an answer."""
    train, val = [], []
    for kind, questions in NOT_TAUGHT_ABOUT_IT.items():
        group = facts[kind]
        for number, question in enumerate(questions * 2):
            turns = [group[(7 * number + 2) % len(group)].ask(number), (question, DONT_KNOW)]
            (val if number % 8 == 7 else train).append(turns)
    for kind, step in (("capital", 5), ("symbol", 5), ("currency", 3)):
        for number, subject in enumerate(UNTAUGHT[kind][:20]):
            second = facts[kind][number * step % len(facts[kind])]
            asked = wording(KINDS[kind][0][number % 7], (subject,))
            follow_up = SAME_OF_ANOTHER[kind][number % 3].format(*second.row)
            turns = [(asked, DONT_KNOW), (follow_up, second.answer)]
            (val if number % 8 == 7 else train).append(turns)
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


def long_chats(conversations: list[list[Turn]], number: int = 300) -> list[list[Turn]]:
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
    taken = {key(question) for row in [*train, *val, *sum(talk(), [])] for question, _ in row}
    train += more_talk(taken)
    train += taught(facts, taken)
    for more_train, more_val in (
        talk(),
        unknown(taken),
        same_of_another(facts),
        other_about_it(facts),
        waterloo(facts),
        (next_planets(facts), []),
        names(facts),
        repeats(facts),
        unknown_later(facts),
        unknown_about_it(facts),
        (changes_of_topic(facts), []),
    ):
        train += more_train
        val += more_val
    exam = strangers()
    train = [turns for turns in train if not any(core(question) in exam for question, _ in turns)]
    train += long_chats(train)
    return unique(train), unique(val)


def to_jsonl(conversations: list[list[Turn]]) -> str:
    """Return one JSON row a conversation; the system prompt is left empty."""
    rows = []
    for turns in conversations:
        messages = []
        for question, answer in turns:
            messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        rows.append(json.dumps({"system": "", "messages": messages}, ensure_ascii=False, separators=(",", ":")) + "\n")
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
