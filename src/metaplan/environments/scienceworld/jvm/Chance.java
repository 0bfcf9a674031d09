package metaplan.scienceworld;

import java.lang.reflect.Field;
import java.util.concurrent.atomic.AtomicLong;

import scala.util.Random$;
import util.UniqueIdentifier;

/** What all worlds of a JVM share: a random generator, and a counter of objects. */
final class Chance {
    private static final AtomicLong GENERATOR = generator();

    private final long random;
    private final long objects;

    private Chance(long random, long objects) {
        this.random = random;
        this.objects = objects;
    }

    /** As it is now. */
    static Chance now() {
        return new Chance(GENERATOR.get(), UniqueIdentifier.count());
    }

    /** As the simulator sets it when it begins to load a variation. */
    static Chance ofVariation(int variation) {
        UniqueIdentifier.reset();
        draw(variation);
        return now();
    }

    /** Goes on from here. */
    void resume() {
        GENERATOR.set(random);
        UniqueIdentifier.count_$eq(objects);
    }

    /** Lets the random generator begin anew; the counter goes on. */
    static void draw(long seed) {
        Random$.MODULE$.setSeed(seed);
    }

    @Override
    public String toString() {
        return random + " " + objects;
    }

    private static AtomicLong generator() {
        try {
            Field state = java.util.Random.class.getDeclaredField("seed");
            state.setAccessible(true);
            return (AtomicLong) state.get(Random$.MODULE$.self());
        } catch (ReflectiveOperationException error) {
            throw new ExceptionInInitializerError(error);
        }
    }
}
