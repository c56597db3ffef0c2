"""The words that the fake LM knows."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


VERBS = _words(
    """
    summarise classify translate compare rewrite explain extract rank shorten correct describe label group
    contrast outline paraphrase verify estimate annotate convert simplify criticise merge reorder
    """
)

ADJECTIVES = _words(
    """
    quiet ancient brittle cheerful distant eager faded gentle hollow icy jagged lively muddy narrow odd
    patient rapid silver tidy uneven vivid weary young bitter coastal daily elastic fragile golden humble
    idle jolly keen lonely modest noisy orange plain rural shallow tender urban velvet wild austere blunt
    curious
    """
)

NOUNS = _words(
    """
    letter recipe poem complaint lecture invoice diary menu proverb speech timetable contract riddle
    review forecast interview anthem blog brochure chapter dialogue essay fable glossary headline
    itinerary joke label lyric manual memo notice obituary pamphlet quotation receipt report saga tale
    thesis verdict weblog advert bulletin catalogue dispatch editorial footnote greeting handbook
    inventory ledger minute outline postcard
    """
)

TOPICS = _words(
    """
    harbours beekeeping chess volcanoes ballet trams orchards glaciers pottery falconry lighthouses cheese
    astronomy canals sailing marathons libraries robots mushrooms bridges dentistry violins deserts
    insurance tulips windmills comets coffee museums gardening elections orchestras penguins railways
    salads tunnels umbrellas vineyards whales yoga zoos kites bakeries castles farming hockey islands
    jewellery knitting lanterns markets novels
    """
)

AUDIENCES = _words(
    """
    children pensioners tourists engineers nurses farmers lawyers sailors teachers actors bankers cooks
    dancers editors firefighters gardeners historians inspectors judges landlords mechanics novelists
    opticians pilots referees surgeons tailors voters waiters astronauts barbers carpenters drivers
    fishermen librarians
    """
)

MANNERS = _words(
    """
    rhyming bulleted formal sarcastic optimistic numbered poetic terse polite dramatic neutral archaic
    playful technical legal childlike scholarly romantic sceptical breathless measured casual solemn witty
    """
)

LIMITS = _words(
    """
    three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty
    """
)
