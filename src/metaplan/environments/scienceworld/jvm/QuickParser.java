package metaplan.scienceworld;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

import language.model.ActionExpr;
import language.model.ActionExprOR;
import language.model.ActionRequestDef;
import language.model.ActionTrigger;
import language.model.ParamSigList;
import scala.Option;
import scala.Tuple2;
import scala.Tuple4;
import scala.collection.Iterator;
import scienceworld.actions.Action;
import scienceworld.input.InputMatch;
import scienceworld.input.InputParser;
import scienceworld.objects.agent.Agent;
import scienceworld.objects.portal.Portal;
import scienceworld.struct.EnvObject;
import scienceworld.tasks.goals.GoalSequence;
import scienceworld.tasks.goals.ObjMonitor;

/**
 * ScienceWorld's parser of actions, without most of its work.
 *
 * <p>The original spells out every name of every object, in the words of every place that holds it,
 * for each of its patterns that gets as far as an object; and it looks through the whole house in
 * every step, though only a teleport may name what is elsewhere. Here a pattern is passed over when
 * its own words are not in the input, an object when no name of it begins what is left of the
 * input, and the house when the input can't be a teleport. What remains goes through the original's
 * code in the original's order, so that actions, questions and refusals are the same.
 *
 * <p>Not thread-safe, like the original.
 */
final class QuickParser extends InputParser {
    private static final int MOST_WORDINGS = 100_000;
    private static final InputMatch[] NO_MATCHES = {};

    /** A name as it is matched: without articles and doubled spaces. */
    private static final Map<String, String> WORDINGS = new HashMap<>();

    private final ActionRequestDef[] actions;

    /** The input as it is matched. */
    private String input = "";

    /** What is known of each object during one input: nothing in the world changes meanwhile. */
    private final Map<EnvObject, String[]> names = new IdentityHashMap<>();

    private final Map<EnvObject, String[]> phrases = new IdentityHashMap<>();

    QuickParser(ActionRequestDef[] actions) {
        super(actions);
        this.actions = actions;
    }

    @Override
    public Tuple4<Object, String, String, Option<Action>> parse(
            String said,
            EnvObject room,
            EnvObject universe,
            Agent agent,
            ObjMonitor monitor,
            GoalSequence goals,
            EnvObject perspective) {
        input = String.join(" ", InputParser.tokenize(said.toLowerCase()));
        EnvObject searched = mayReachAnywhere() ? universe : agent;
        try {
            return super.parse(said, room, searched, agent, monitor, goals, perspective);
        } finally {
            names.clear();
            phrases.clear();
        }
    }

    @Override
    public InputMatch[] populate(
            String[] tokens,
            ParamSigList parameters,
            ActionTrigger trigger,
            EnvObject[] objects,
            EnvObject perspective) {
        return isSpoken(trigger)
                ? super.populate(tokens, parameters, trigger, objects, perspective)
                : NO_MATCHES;
    }

    /** Finds the objects that a text may begin with; gives what is left of the text after each. */
    @Override
    public Tuple2<Object, Tuple2<String, EnvObject>[]> matchObj(
            String text, EnvObject[] objects, EnvObject perspective) {
        List<Tuple2<String, EnvObject>> found = new ArrayList<>();
        for (EnvObject object : objects) {
            if (!mayBegin(text, object, perspective)) {
                continue;
            }
            for (String phrase : phrasesOf(object, perspective)) {
                if (text.startsWith(phrase)) {
                    found.add(new Tuple2<>(text.substring(phrase.length()).trim(), object));
                }
            }
        }
        @SuppressWarnings({"unchecked", "rawtypes"})
        Tuple2<String, EnvObject>[] all = found.toArray(new Tuple2[0]);
        return new Tuple2<>(all.length > 0, all);
    }

    /** Whether the input may be one of the actions that reach all objects there are. */
    private boolean mayReachAnywhere() {
        for (ActionRequestDef action : actions) {
            if (action.isOracleAction()) {
                Iterator<ActionTrigger> triggers = action.triggers().iterator();
                while (triggers.hasNext()) {
                    if (isSpoken(triggers.next())) {
                        return true;
                    }
                }
            }
        }
        return false;
    }

    /** Whether the words of a pattern are in the input: those that it starts with at its start. */
    private boolean isSpoken(ActionTrigger trigger) {
        boolean first = true;
        for (Iterator<ActionExpr> parts = trigger.pattern().iterator(); parts.hasNext(); ) {
            ActionExpr part = parts.next();
            if (part instanceof ActionExprOR && !isSpoken((ActionExprOR) part, first)) {
                return false;
            }
            first = false;
        }
        return true;
    }

    private boolean isSpoken(ActionExprOR choice, boolean first) {
        for (Iterator<String> words = choice.orElements().iterator(); words.hasNext(); ) {
            String word = words.next();
            if (first ? input.startsWith(word) : input.contains(word)) {
                return true;
            }
        }
        return false;
    }

    /** False where no phrase for the object begins the text: each begins with one of its names. */
    private boolean mayBegin(String text, EnvObject object, EnvObject perspective) {
        for (String name : namesOf(object, perspective)) {
            if (text.startsWith(name)) {
                return true;
            }
        }
        return false;
    }

    private String[] namesOf(EnvObject object, EnvObject perspective) {
        String[] known = names.get(object);
        if (known == null) {
            scala.collection.immutable.Set<String> spelt =
                    object instanceof Portal
                            ? ((Portal) object).getReferents(perspective)
                            : object.getReferents();
            known = new String[spelt.size()];
            Iterator<String> each = spelt.iterator();
            for (int i = 0; i < known.length; i++) {
                known[i] = wording(each.next());
            }
            names.put(object, known);
        }
        return known;
    }

    /** All that may be said for an object, such as "water" and "water in sink". */
    private String[] phrasesOf(EnvObject object, EnvObject perspective) {
        String[] known = phrases.get(object);
        if (known == null) {
            known = InputParser.getObjectReferents(object, perspective);
            phrases.put(object, known);
        }
        return known;
    }

    private static String wording(String name) {
        String known = WORDINGS.get(name);
        if (known == null) {
            known = String.join(" ", InputParser.tokenize(name.toLowerCase()));
            if (WORDINGS.size() < MOST_WORDINGS) {
                WORDINGS.put(name, known);
            }
        }
        return known;
    }
}
